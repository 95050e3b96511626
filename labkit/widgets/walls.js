// A container that is attacked: which of its walls stand is chosen here, and a real container answers.

export default {
  render({ model, el }) {
    const acts = make("fieldset", el, {
      class: "lk",
      style: "display:flex;flex-wrap:wrap;gap:.4em 1.2em;align-items:center;border:1px solid var(--lk-line);border-radius:6px;padding:.4em .8em .6em",
    });
    make("legend", acts, {}, "which walls stand?");
    const boxes = model.get("walls").map((name) => {
      const label = make("label", acts);
      const box = make("input", label, { type: "checkbox", value: name });
      label.append(` ${name}`);
      return box;
    });
    const go = make("button", acts, { type: "button" }, "attack");
    const said = make("p", el, { class: "lk", role: "status" });
    const picture = make("div", el);
    const draw = () => {
      picture.innerHTML = model.get("picture");
      said.textContent = model.get("busy") ? "A container is being attacked …" : model.get("said");
      for (const one of [...boxes, go]) one.disabled = model.get("busy") || !model.get("is_live");
    };
    go.addEventListener("click", () => {
      model.set("busy", true);
      model.save_changes(); // else the kernel's "not busy" would be no change, and would not come
      draw();
      model.send({ up: boxes.filter((box) => box.checked).map((box) => box.value) });
    });
    const changes = "change:picture change:said change:busy change:is_live";
    model.on(changes, draw);
    draw();
    return () => model.off(changes, draw);
  },
};
