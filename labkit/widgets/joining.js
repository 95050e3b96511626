// Processes that try to join namespaces: how many threads they have is chosen here, and the kernel answers.

export default {
  render({ model, el }) {
    const picture = make("div", el);
    const acts = make("div", el, { class: "lk", style: "display:flex;flex-wrap:wrap;gap:1em;align-items:center" });
    const label = make("label", acts, {}, "threads ");
    const threads = make("input", label, { type: "range", min: 1, max: 8, step: 1, value: 2 });
    const count = make("output", label, {}, "2");
    const box = make("label", acts);
    const own = make("input", box, { type: "checkbox" });
    box.append(" first unshare(CLONE_FS)");
    const go = make("button", acts, { type: "button" }, "try to join");
    const said = make("p", el, { class: "lk", role: "status" });
    const draw = () => {
      picture.innerHTML = model.get("picture");
      said.textContent = model.get("said");
      for (const one of [threads, own, go]) one.disabled = model.get("busy") || !model.get("is_live");
    };
    threads.addEventListener("input", () => (count.textContent = threads.value));
    go.addEventListener("click", () => {
      model.set("busy", true);
      model.save_changes(); // else the kernel's "not busy" would be no change, and would not come
      draw();
      model.send({ threads: +threads.value, own_fs: own.checked });
    });
    const changes = "change:picture change:said change:busy change:is_live";
    model.on(changes, draw);
    draw();
    return () => model.off(changes, draw);
  },
};
