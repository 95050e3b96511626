// Two frames in a row of bytes, a slider below that row which moves the cut, and what two readers get. The page has
// every reader for every cut, so that the slider answers at once; words and streams are changed by way of the kernel.

const STREAMS = [[1, "stdout"], [2, "stderr"]];

function editor(model, parent, number) {
  const box = make("span", parent, { class: "lkf-edit" });
  make("span", box, {}, `frame ${number + 1}`);
  const buttons = STREAMS.map(([stream, name]) => {
    const button = make("button", box, { type: "button" }, name);
    button.addEventListener("click", () => {
      model.set("streams", model.get("streams").map((old, one) => (one === number ? stream : old)));
      model.save_changes();
    });
    return [button, stream];
  });
  const text = make("input", box, { type: "text", maxlength: 9, size: 10, "aria-label": `words of frame ${number + 1}` });
  text.addEventListener("input", () => {
    model.set("texts", model.get("texts").map((old, one) => (one === number ? text.value : old)));
    model.save_changes();
  });
  make("span", box, { class: "lk-dim" }, "and Enter");
  return () => {
    if (text.value !== model.get("texts")[number]) text.value = model.get("texts")[number];
    for (const [button, stream] of buttons) button.setAttribute("aria-pressed", model.get("streams")[number] === stream);
  };
}

export default {
  render({ model, el }) {
    const style = make("div", el);
    style.innerHTML = model.get("look");
    const root = make("figure", el, { class: "lk lkf", role: "group", "aria-label": "frame view" });
    const edit = make("div", root, { class: "lkf-edits" });
    const editors = [0, 1].map(number => editor(model, edit, number));
    const row = make("div", root, { class: "lkf-row" });
    const picture = make("div", row, { class: "lkf-picture" });
    make("div", row, { class: "lkf-cut" });
    const slider = make("input", row, { type: "range", min: 0, "aria-label": "where the stream is cut" });
    const words = make("output", root, { class: "lkf-words" });
    const readers = make("div", root, { class: "lkf-readers", "aria-live": "polite" });
    make("figcaption", root, {}, "Move the cut (mouse, or arrow keys). The left reader is right in one place only. The"
      + " right reader looks at the length, and is right wherever the cut is. Change the words: which bytes follow?");

    const showCut = () => {
      const cut = model.get("cut"), size = model.get("size");
      slider.value = cut;
      row.style.setProperty("--cut", cut);
      slider.setAttribute("aria-valuetext", `after byte ${cut} of ${size}`);
      words.textContent = cut === 0 || cut === size ? `One chunk of ${size} bytes.`
        : `The connection hands out ${cut} bytes, then ${size - cut}.`;
      readers.innerHTML = model.get("readers")[cut] ?? "";
    };
    const draw = () => {
      row.style.setProperty("--size", model.get("size"));
      slider.max = model.get("size");
      picture.innerHTML = model.get("picture");
      for (const one of editors) one();
      showCut();
    };
    slider.addEventListener("input", () => {
      model.set("cut", +slider.value);
      model.save_changes();
      showCut();
    });
    const changes = "change:picture change:readers change:streams";
    model.on(changes, draw);
    model.on("change:cut", showCut);
    draw();
    return () => {
      model.off(changes, draw);
      model.off("change:cut", showCut);
    };
  },
};
