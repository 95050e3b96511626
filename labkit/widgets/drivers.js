// Bars of the bytes that each storage driver keeps. The page has what was measured after each step, so that a slider
// (containers), a button (one byte) and the choice of a driver answer at once.

const mb = bytes => {
  const value = bytes / 1e6;
  return `${Math.abs(value) >= 99.95 ? value.toFixed(0) : value.toFixed(1)} MB`;
};
const PARTS = [["lkg-bar", "the image"], ["lkg-made", "the containers"], ["lkg-extra", "the changed byte"]];
const added = bytes => (bytes < 50_000 ? "less than 0.1 MB" : mb(bytes));

const sentence = words => `${words[0].toUpperCase()}${words.slice(1)}.`;

function explain(trial, containers, changed) {
  if (changed) return `one byte of a file of ${mb(trial.big)} is changed: ${added(trial.change)} more. ${sentence(trial.onChange)}`;
  if (containers === 0) return `the image alone: ${mb(trial.kept[0])}. A layer is ${trial.layer}.`;
  const more = trial.kept[containers] - trial.kept[containers - 1];
  return `container ${containers} is made: ${added(more)} more. For it there are ${trial.onCreate}.`;
}

export default {
  render({ model, el }) {
    const style = make("div", el);
    style.innerHTML = model.get("look");
    const root = make("figure", el, { class: "lk lkg", role: "group", "aria-label": "bytes of the storage drivers" });
    const acts = make("div", root, { class: "lkg-acts" });
    const label = make("label", acts, {}, "containers ");
    const slider = make("input", label, { type: "range", min: 0, max: 10, step: 1 });
    const count = make("output", label, { class: "lkg-count" });
    const change = make("button", acts, { type: "button" }, "change one byte in one of them");
    const rows = make("div", root, { class: "lkg-rows", role: "radiogroup", "aria-label": "driver" });
    const words = make("p", root, { class: "lkg-words", "aria-live": "polite" });
    const keys = make("p", root, { class: "lkg-keys" });
    for (const [part, name] of PARTS) {
      make("span", keys, { class: `lkg-key ${part}`, "aria-hidden": true });
      make("span", keys, {}, name);
    }
    make("figcaption", root, {}, "Move the slider, with the mouse or the arrow keys: each step makes one container. Then"
      + " change one byte. Choose a driver to read what it did on the disk. This machine has measured each length.");

    const trials = model.get("trials");
    const most = Math.max(1, ...trials.map(one => Math.max(...one.kept) + Math.max(0, one.change)));
    const bars = trials.map((trial, place) => {
      const row = make("button", rows, { type: "button", class: "lkg-row", role: "radio" });
      make("span", row, { class: "lkg-name" }, trial.driver);
      const track = make("span", row, { class: "lkg-track" });
      const bar = make("span", track, { class: "lkg-bar" });
      const made = make("span", track, { class: "lkg-made" });
      const extra = make("span", track, { class: "lkg-extra" });
      const size = make("span", track, { class: "lkg-size" });
      const choose = () => {
        model.set("chosen", trial.driver);
        model.save_changes();
        draw();
      };
      row.addEventListener("click", choose);
      row.addEventListener("keydown", event => {
        const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        const next = by && bars[(place + by + bars.length) % bars.length];
        if (!next) return;
        event.preventDefault();
        event.stopPropagation(); // these keys are not the notebook's
        next.row.focus();
        next.choose();
      });
      return { trial, row, bar, made, extra, size, choose };
    });

    const draw = () => {
      const containers = model.get("containers"), changed = model.get("changed") && containers > 0;
      slider.value = containers;
      count.textContent = containers;
      change.disabled = containers === 0;
      change.setAttribute("aria-pressed", changed);
      for (const { trial, row, bar, made, extra, size } of bars) {
        const isChosen = trial.driver === model.get("chosen");
        const kept = trial.kept[containers], more = changed ? Math.max(0, trial.change) : 0;
        const image = Math.min(trial.kept[0], kept);
        bar.style.width = `${(image / most) * 82}%`;
        made.style.width = `${((kept - image) / most) * 82}%`;
        extra.style.width = `${(more / most) * 82}%`;
        size.textContent = mb(kept + more);
        row.setAttribute("aria-checked", isChosen);
        row.tabIndex = isChosen ? 0 : -1;
        if (isChosen) {
          words.replaceChildren();
          make("b", words, {}, `${trial.driver}: `);
          words.append(explain(trial, containers, changed));
        }
      }
    };
    slider.addEventListener("input", () => {
      model.set("containers", +slider.value);
      if (+slider.value === 0) model.set("changed", false);
      model.save_changes();
      draw();
    });
    change.addEventListener("click", () => {
      model.set("changed", !model.get("changed"));
      model.save_changes();
      draw();
    });
    const changes = "change:containers change:changed change:chosen";
    model.on(changes, draw);
    draw();
    return () => model.off(changes, draw);
  },
};
