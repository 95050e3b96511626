// Lower, upper and merged as a table whose rows can be chosen, and buttons that act on the chosen path. The kernel does
// the act in the real directories and draws the table anew; what was chosen and focused stays.

export default {
  render({ model, el }) {
    const picture = make("div", el);
    const bar = make("div", el, { class: "lk u-bar", role: "group", "aria-label": "what a program does" });
    bar.innerHTML = `<style>
      .lk.u-bar { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; padding: 4px 0; }
      .lk.u-bar button { padding: 2px 10px; }
      .lk.u-bar button:disabled { opacity: .5; cursor: default; }
      .lk.u-bar output { flex: 1 0 100%; min-height: 1.5em; font-family: var(--lk-code); }
    </style>`;
    const target = make("b", bar, { style: "min-width: 8em" });
    const buttons = model.get("acts").map(([name, line]) => {
      const button = make("button", bar, { type: "button", title: line }, name);
      button.addEventListener("click", () => model.send({ do: name, path: model.get("chosen") }));
      return button;
    });
    const look = make("button", bar, { type: "button", title: "read the directories again" }, "look again");
    look.addEventListener("click", () => model.send({ do: "look" }));
    const anew = make("button", bar, { type: "button", title: "mount a new overlay" }, "begin anew");
    anew.addEventListener("click", () => model.send({ do: "begin anew" }));
    const said = make("output", bar, { "aria-live": "polite" });

    const rows = () => [...picture.querySelectorAll("tr[data-path]")];
    const choose = row => {
      model.set("chosen", row.dataset.path);
      model.save_changes();
    };
    const showChoice = () => {
      const all = rows(), chosen = model.get("chosen");
      const found = all.find(row => row.dataset.path === chosen);
      for (const row of all) {
        row.setAttribute("aria-selected", row === found);
        row.tabIndex = row === (found ?? all[0]) ? 0 : -1;
      }
      target.textContent = found ? chosen : "choose a row";
      for (const button of buttons) button.disabled = !found || !model.get("is_live");
    };
    const draw = () => {
      const held = picture.contains(document.activeElement);
      picture.innerHTML = model.get("picture");
      showChoice();
      if (held) rows().find(row => row.tabIndex === 0)?.focus();
    };
    const say = () => {
      said.textContent = model.get("said");
      look.hidden = anew.hidden = !model.get("is_live");
      for (const button of buttons) button.hidden = !model.get("is_live");
      target.hidden = !model.get("is_live");
      showChoice();
    };
    picture.addEventListener("click", event => {
      const row = event.target.closest("tr[data-path]");
      if (!row) return;
      choose(row);
      row.focus();
    });
    picture.addEventListener("keydown", event => {
      const row = event.target.closest("tr[data-path]"), by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!row || !by) return;
      event.preventDefault();
      event.stopPropagation(); // nor are these keys the notebook's
      const all = rows(), next = all[all.indexOf(row) + by];
      if (!next) return;
      choose(next);
      next.focus();
    });
    const changes = [["change:picture", draw], ["change:chosen", showChoice], ["change:said change:is_live", say]];
    for (const [names, act] of changes) model.on(names, act);
    draw();
    say();
    return () => { for (const [names, act] of changes) model.off(names, act); };
  },
};
