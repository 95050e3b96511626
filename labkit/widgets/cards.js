// Steps in an order that the reader changes: by dragging a card, or with the arrow keys on a card.

export default {
  render({ model, el }) {
    el.innerHTML = model.get("style_html");
    const frame = document.createElement("div");
    frame.className = "lk";
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", "the order of the steps");
    frame.innerHTML = `
      <style>
        .lk .o-cards { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 12px; }
        .lk .o-card { font: 600 var(--lk-size)/2.2 var(--lk-code); padding: 0 16px; cursor: grab;
          border: 2px solid var(--lk-request); color: var(--lk-request); background: var(--lk-ground); border-radius: 8px; }
        .lk .o-card[aria-grabbed=true] { opacity: .4; }
        .lk .o-column { flex-direction: column; align-items: stretch; }
        .lk .o-column .o-card { text-align: left; }
      </style>
      <div class="lk-card"><div class="lk-head"></div>
      <div class="o-cards"></div></div>`;
    frame.querySelector(".lk-head").textContent = model.get("heading");
    const cards = frame.querySelector(".o-cards");
    cards.classList.toggle("o-column", model.get("column"));
    const go = document.createElement("button");
    go.type = "button";
    go.addEventListener("click", () => model.send({ try: true }));
    let dragged = null;

    const put = (step, place) => {
      const order = model.get("order").filter(one => one !== step);
      order.splice(Math.max(0, Math.min(place, order.length)), 0, step);
      model.set("order", order);
      model.save_changes();
    };
    const card = (step, place) => {
      const one = document.createElement("button");
      one.type = "button";
      one.className = "o-card";
      one.draggable = true;
      one.textContent = `${place + 1}. ${model.get("labels")[step] ?? step}`;
      one.dataset.step = step;
      one.addEventListener("dragstart", event => {
        dragged = step;
        one.setAttribute("aria-grabbed", "true");
        event.dataTransfer.setData("text/plain", step);
      });
      one.addEventListener("dragend", () => { dragged = null; draw(); });
      one.addEventListener("dragover", event => { if (dragged) event.preventDefault(); });
      one.addEventListener("drop", event => {
        event.preventDefault();
        event.stopPropagation(); // JupyterLab would take it for one of its own
        if (dragged && dragged !== step) put(dragged, place);
      });
      one.addEventListener("keydown", event => {
        const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
        if (!by) return;
        event.preventDefault();
        event.stopPropagation(); // nor are these keys the notebook's
        put(step, place + by);
        cards.querySelector(`[data-step=${step}]`).focus();
      });
      return one;
    };
    const draw = () => {
      const busy = model.get("busy");
      go.textContent = busy ? "Trying …" : model.get("action");
      go.disabled = busy;
      const held = document.activeElement?.dataset?.step;
      cards.replaceChildren(...model.get("order").map(card), go);
      if (held) cards.querySelector(`[data-step=${held}]`)?.focus();
    };
    model.on("change:order", draw);
    model.on("change:busy", draw);
    draw();
    el.append(frame);
    return () => { model.off("change:order", draw); model.off("change:busy", draw); };
  },
};
