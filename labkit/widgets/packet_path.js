// A drawing of the machine's network, whose hops can be chosen one after the other; buttons send a packet. The kernel
// runs the line and draws the way anew; choosing needs no kernel. Counters change in place.

export default {
  render({ model, el }) {
    const bar = make("div", el, { class: "lk p-bar", role: "group", "aria-label": "send a packet" });
    bar.innerHTML = `<style>
      .lk.p-bar { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; padding: 4px 0; }
      .lk.p-bar button { padding: 2px 10px; }
      .lk.p-bar button:disabled { opacity: .5; cursor: default; }
      .lk.p-bar output { flex: 1 0 100%; min-height: 3em; white-space: pre-wrap; overflow-wrap: anywhere;
        font-family: var(--lk-code); }
    </style>`;
    const label = make("b", bar, {}, "send:");
    const sends = model.get("acts").map(([name, line]) => {
      const button = make("button", bar, { type: "button", title: line }, name);
      button.addEventListener("click", () => {
        said.textContent = `$ ${line}\n…`;
        model.send({ send: name });
      });
      return button;
    });
    const back = make("button", bar, { type: "button", title: "the hop before" }, "‹ hop");
    const on = make("button", bar, { type: "button", title: "the next hop" }, "hop ›");
    const said = make("output", bar, { "aria-live": "polite" });
    const picture = make("div", el);

    const rows = () => [...picture.querySelectorAll("[data-hop][role=option]")];
    const choose = (number, isFocused = false) => {
      const row = rows().find(one => +one.dataset.hop === number);
      if (!row) return;
      model.set("chosen", number);
      model.save_changes();
      show();
      if (isFocused) row.focus();
    };
    const step = (by, isFocused) => choose(model.get("chosen") + by, isFocused);
    const show = () => {
      const all = rows(), chosen = model.get("chosen");
      const found = all.find(row => +row.dataset.hop === chosen);
      for (const row of all) {
        row.setAttribute("aria-selected", row === found);
        row.tabIndex = row === (found ?? all[0]) ? 0 : -1;
      }
      for (const one of picture.querySelectorAll(".p-station")) {
        const isHere = one.dataset.station === found?.dataset.station;
        one.classList.toggle("p-now", isHere);
        one.classList.toggle("p-back", isHere && found.parentElement.getAttribute("aria-label").endsWith("answer"));
      }
      const says = picture.querySelector(".p-says");
      if (says) says.textContent = found ? `Hop ${chosen}: ${found.dataset.says}` : "";
      back.disabled = !found || chosen === 1;
      on.disabled = !all.length || chosen === all.length;
      back.hidden = on.hidden = !all.length;
    };
    const draw = () => {
      const held = picture.contains(document.activeElement);
      picture.innerHTML = model.get("picture");
      show();
      if (held) rows().find(row => row.tabIndex === 0)?.focus();
    };
    const count = () => {
      const counts = model.get("counts");
      for (const one of picture.querySelectorAll("[data-count]")) {
        const now = counts[one.dataset.count], text = one.querySelector("text");
        if (now === undefined) continue;
        const words = `${now} packet${now === 1 ? "" : "s"}`;
        if (text.textContent === words) continue;
        text.textContent = words;
        one.classList.add("p-moved");
        setTimeout(() => one.classList.remove("p-moved"), 1500);
      }
    };
    const say = () => {
      said.textContent = model.get("said");
      label.hidden = !model.get("is_live");
      for (const button of sends) button.hidden = !model.get("is_live");
    };
    back.addEventListener("click", () => step(-1));
    on.addEventListener("click", () => step(1));
    picture.addEventListener("click", event => {
      const row = event.target.closest("[role=option]"), disc = event.target.closest(".p-disc");
      const place = event.target.closest(".p-station");
      if (row) return choose(+row.dataset.hop, true);
      if (disc) return choose(+disc.dataset.hop);
      if (place?.dataset.hops) choose(+place.dataset.hops.split(" ")[0]);
    });
    picture.addEventListener("keydown", event => {
      const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
      if (!by || !event.target.closest("[role=option]")) return;
      event.preventDefault();
      event.stopPropagation(); // nor are these keys the notebook's
      step(by, true);
    });
    const changes = [
      ["change:picture", draw], ["change:chosen", show], ["change:counts", count], ["change:said change:is_live", say],
    ];
    for (const [names, act] of changes) model.on(names, act);
    draw();
    say();
    return () => { for (const [names, act] of changes) model.off(names, act); };
  },
};
