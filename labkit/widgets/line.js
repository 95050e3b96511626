// A line of text that leaves whole, with its Enter: what is typed before that stays in the page. A text field of
// ipywidgets would send each key on its own, and late where the kernel is busy, so that an Enter could overtake them.

export default {
  render({ model, el }) {
    const input = document.createElement("input");
    input.type = "text";
    input.style.width = "100%";
    input.placeholder = "type, then Enter";
    input.setAttribute("aria-label", model.get("name"));
    input.addEventListener("keydown", event => {
      event.stopPropagation(); // the notebook would take Shift+Enter, and some letters, for itself
      if (event.key !== "Enter" || event.isComposing) return;
      model.send({ line: input.value });
      input.value = "";
    });
    const enable = () => { input.disabled = model.get("disabled"); };
    model.on("change:disabled", enable);
    enable();
    el.classList.add("jupyter-widgets", "widget-text"); // as the field of ipywidgets looks
    el.append(input);
    return () => model.off("change:disabled", enable);
  },
};
