// The namespace map and the process tree on a page: what the kernel sends is drawn, and what the reader has opened,
// chosen, scrolled or focused stays. The choice of a cell, and its proof, need no kernel: each cell holds the number that
// /proc gave.

const SHOWN = 3; // lines of proof of each sort: who shares, and who does not

// A key that is pressed on this element is neither JupyterLab's nor the notebook's.
const keepKeys = one => { one.dataset.lmSuppressShortcuts = true; };

function make(tag, parent, attributes = {}, text = "") {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.textContent = text;
  parent.append(one);
  return one;
}

const rowsOf = root => [...root.querySelectorAll("tr[data-pid]")];
const kindOf = cell => cell.closest("table").tHead.rows[0].cells[cell.cellIndex].dataset.kind;
const cellAt = (root, at) => {
  const row = at && root.querySelector(`tr[data-pid="${at.pid}"]`);
  return row && [...row.cells].find(cell => cell.tagName === "TD" && kindOf(cell) === at.kind);
};
const placeOf = cell => ({ pid: cell.closest("tr").dataset.pid, kind: kindOf(cell) });

function nameOf(row) {
  const name = row.cells[0], label = name.querySelector(".lk-chip");
  return `${name.querySelector("b").textContent}${label ? ` of ${label.textContent}` : ""}`;
}

// What readlink says of a cell; the number, which is what is compared, stands out.
function addLine(pre, cell) {
  const kind = kindOf(cell), row = cell.closest("tr");
  pre.append(`$ readlink /proc/${row.dataset.pid}/ns/${kind}`.padEnd(36), `${kind}:[`);
  make("span", pre, { class: "nm-n" }, cell.dataset.n);
  pre.append(`]   ${nameOf(row)}\n`);
}

function prove(panel, cell, same, others) {
  panel.replaceChildren();
  panel.hidden = false;
  const kind = kindOf(cell), words = make("p", panel), sharers = same.filter(one => one !== cell);
  make("b", words, {}, `${kind} of ${nameOf(cell.closest("tr"))}: `);
  words.append(sharers.length === 0 ? "no other process here is in this namespace."
    : sharers.length === 1 ? "one other process here has the same number. The two share one namespace."
    : `${sharers.length} other processes here have the same number. They share one namespace.`);
  const pre = make("pre", panel);
  for (const one of [cell, ...sharers.slice(0, SHOWN)]) addLine(pre, one);
  if (others.length === 0) return;
  make("p", panel, {}, "Another number is another namespace:");
  const rest = make("pre", panel), numbers = new Map(others.map(one => [one.dataset.n, one]).reverse());
  for (const one of [...numbers.values()].reverse().slice(0, SHOWN)) addLine(rest, one); // of each, the first that is in it
}

export default {
  render({ model, el }) {
    let frame = null, chosen = null, gone = false;
    const unfolded = new Set(), open = new Set();

    const cells = () => rowsOf(el).filter(row => !row.hidden).map(row => [...row.cells].slice(1));
    const show = () => { // the choice, in what is drawn now
      const cell = cellAt(el, chosen), panel = el.querySelector(".nm-proof");
      for (const one of el.querySelectorAll(".nm-same,.nm-chosen")) one.classList.remove("nm-same", "nm-chosen");
      if (!panel) return;
      panel.hidden = true;
      if (!cell?.dataset.n) return;
      const column = rowsOf(el).map(row => row.cells[cell.cellIndex]).filter(one => one.dataset.n);
      const same = column.filter(one => one.dataset.n === cell.dataset.n);
      for (const one of same) one.classList.add("nm-same");
      cell.classList.replace("nm-same", "nm-chosen");
      prove(panel, cell, same, column.filter(one => one.dataset.n !== cell.dataset.n));
    };
    const rove = cell => { // one cell of the table takes the focus
      for (const one of el.querySelectorAll("td[tabindex='0']")) one.tabIndex = -1;
      if (!cell) return;
      cell.tabIndex = 0;
      keepKeys(cell);
    };
    const choose = cell => {
      if (!cell.dataset.n) return;
      const at = placeOf(cell);
      chosen = chosen && chosen.pid === at.pid && chosen.kind === at.kind ? null : at;
      show();
    };
    const fold = () => { // a button in the place of rows that are alike
      for (const first of new Set([...el.querySelectorAll("tr[data-fold]")].map(row => row.dataset.fold))) {
        const rows = [...el.querySelectorAll(`tr[data-fold="${first}"]`)], table = rows[0].closest("table");
        const row = document.createElement("tr");
        rows[0].before(row);
        const place = make("td", row, { colspan: table.tHead.rows[0].cells.length, class: "nm-more" });
        const button = make("button", place, { type: "button", "data-unfold": first });
        const draw = () => {
          const isOpen = unfolded.has(first);
          for (const one of rows) one.hidden = !isOpen;
          button.setAttribute("aria-expanded", isOpen);
          button.textContent = isOpen ? `fold ${rows.length} that are alike` : `${rows.length} more that are alike`;
        };
        keepKeys(button);
        button.addEventListener("click", event => {
          event.stopPropagation();
          if (!unfolded.delete(first)) unfolded.add(first);
          draw();
        });
        draw();
      }
    };
    const draw = () => {
      frame = null;
      const held = el.contains(document.activeElement) ? document.activeElement : null;
      const at = held?.matches("td[data-n]") ? placeOf(held) : null, unfold = held?.dataset.unfold;
      const summary = held?.closest("details[data-id]")?.dataset.id, isSummary = held?.tagName === "SUMMARY";
      const isStop = held && !at && !unfold && !isSummary;
      const tops = [...el.querySelectorAll(".nm-scroll,.pt-scroll")].map(one => one.scrollTop);
      el.innerHTML = model.get("html");
      if (gone) for (const one of el.querySelectorAll("[data-state=live]")) one.textContent = "stopped: the kernel has gone";
      fold();
      for (const one of el.querySelectorAll("details[data-id]")) one.open = open.has(one.dataset.id);
      for (const one of el.querySelectorAll("summary")) keepKeys(one);
      [...el.querySelectorAll(".nm-scroll,.pt-scroll")].forEach((one, place) => { one.scrollTop = tops[place] ?? 0; });
      show();
      const all = cells().flat(), focused = cellAt(el, at);
      rove(focused ?? cellAt(el, chosen) ?? all[0]);
      if (at) (focused ?? all[0])?.focus({ preventScroll: true });
      else if (unfold) el.querySelector(`[data-unfold="${unfold}"]`)?.focus({ preventScroll: true });
      else if (isSummary) el.querySelector(`details[data-id="${summary}"] > summary`)?.focus({ preventScroll: true });
      else if (isStop) el.querySelector("summary,td[tabindex='0']")?.focus({ preventScroll: true });
    };
    el.addEventListener("toggle", event => {
      const id = event.target.dataset?.id;
      if (id) event.target.open ? open.add(id) : open.delete(id);
    }, true); // a toggle does not bubble
    el.addEventListener("click", event => {
      const cell = event.target.closest("td[data-n]");
      if (!cell) return;
      rove(cell);
      cell.focus({ preventScroll: true });
      choose(cell);
    });
    el.addEventListener("keydown", event => {
      if (event.key === "Escape" && chosen) {
        chosen = null;
        show();
        return;
      }
      const cell = event.target.closest("td");
      if (!cell || event.target.tagName === "BUTTON") return;
      const rows = cells(), row = rows.findIndex(one => one.includes(cell)), column = rows[row]?.indexOf(cell);
      const moves = {
        ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
        ArrowRight: [row, column + 1], Home: [row, 0], End: [row, rows[row]?.length - 1],
        PageUp: [Math.max(0, row - 10), column], PageDown: [Math.min(rows.length - 1, row + 10), column],
      };
      if (event.key === "Enter" || event.key === " ") choose(cell);
      else if (!moves[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      const [down, right] = moves[event.key] ?? [row, column], next = rows[down]?.[right];
      if (!next) return;
      rove(next);
      next.focus();
    });
    const later = () => { frame ??= requestAnimationFrame(draw); };
    model.on("change:html", later);
    model.on("comm_live_update", () => { // the kernel is restarted: nobody else is left to say so
      gone = true;
      later();
    });
    draw();
    return () => {
      cancelAnimationFrame(frame);
      model.off("change:html", later);
    };
  },
};
