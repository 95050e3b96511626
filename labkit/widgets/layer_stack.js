// The layers of an image, and the tree as it is after one of them. The kernel sends every path once; all that moves here
// works without it. It hears a moment later what is seen, and draws the still picture of that.
//
// 100,000 paths: only the rows that are in sight are elements; what a layer did is counted anew, in one pass from the
// last path to the first, when the layer changes. labkit/show/layer_tree.py has the same four steps, and says more.

const [THERE, ADDED, CHANGED, HIDDEN, HIDDEN_WITH] = [0, 1, 2, 3, 4];
const ROLES = { [ADDED]: "added", [CHANGED]: "changed", [HIDDEN]: "hidden", [HIDDEN_WITH]: "hidden" };
const DEEDS = ["added", "changed", "hidden"];
const ROW_PX = 24, SPARE_ROWS = 8, MANY_ROWS = 16, MOST_ANSWERS = 30, MOST_STEPS = 12, TELL_MS = 300, TYPING_MS = 700, LATER_MS = 200;
const MOST_TOLD = 5000; // open folders of which the kernel hears

class Tree {
  constructor(columns) {
    this.names = columns.names === "" ? [] : columns.names.split("\n");
    const count = this.count = this.names.length;
    this.levels = columns.levels;
    this.layers = columns.layers;
    this.codes = Uint8Array.from(columns.codes);
    this.kinds = columns.kinds;
    this.sizes = columns.sizes;
    this.lost = new Map(columns.lost);
    this.targets = new Map(columns.targets);
    this.first = new Int32Array(count + 1); // of the events of each path
    this.parents = new Int32Array(count);
    this.ends = new Int32Array(count).fill(count);
    const above = [];
    for (let i = 0; i < count; i++) {
      this.first[i + 1] = this.first[i] + columns.counts[i];
      while (above.length > this.levels[i]) this.ends[above.pop()] = i;
      this.parents[i] = above.length ? above.at(-1) : -1;
      above.push(i);
    }
    for (const name of ["added", "changed", "hidden", "kids", "kidsTouched", "event"]) this[name] = new Int32Array(count);
    for (const name of ["here", "did", "touched"]) this[name] = new Uint8Array(count);
    this.size = new Float64Array(count);
  }

  // What is there after the layers 0 to depth, and what the last of these did.
  look(depth) {
    this.depth = depth;
    for (const name of ["added", "changed", "hidden", "kids", "kidsTouched", "here", "did", "touched", "size"]) this[name].fill(0);
    this.roots = this.rootsTouched = 0;
    for (let i = this.count - 1; i >= 0; i--) {
      let event = this.first[i + 1] - 1;
      while (event >= this.first[i] && this.layers[event] > depth) event--;
      if (event < this.first[i]) continue;
      const code = this.codes[event], isNow = this.layers[event] === depth;
      if (code >= HIDDEN && !isNow) continue;
      this.here[i] = 1;
      this.event[i] = event;
      this.did[i] = isNow ? code : 0;
      this.size[i] = this.sizes[event] + (code >= HIDDEN ? 0 : this.size[i]);
      this.touched[i] = this.did[i] || this.added[i] + this.changed[i] + this.hidden[i] > 0 ? 1 : 0;
      const parent = this.parents[i];
      if (parent < 0) {
        this.roots++;
        this.rootsTouched += this.touched[i];
        continue;
      }
      if (code < HIDDEN) this.size[parent] += this.size[i];
      this.added[parent] += this.added[i] + (this.did[i] === ADDED);
      this.changed[parent] += this.changed[i] + (this.did[i] === CHANGED);
      this.hidden[parent] += this.hidden[i] + (this.did[i] === HIDDEN);
      this.kids[parent]++;
      this.kidsTouched[parent] += this.touched[i];
    }
  }

  shows = (i, only) => i < this.count && this.here[i] && (!only || this.touched[i]);
  kidsOf = (i, only) => (i < 0 ? (only ? this.rootsTouched : this.roots) : (only ? this.kidsTouched : this.kids)[i]);

  // The rows that are seen with these folders open.
  rows(opened, only) {
    const rows = [];
    for (let i = 0; i < this.count;) {
      const isRow = this.shows(i, only);
      if (isRow) rows.push(i);
      i = isRow && opened.has(i) ? i + 1 : this.ends[i];
    }
    return rows;
  }

  // The folders to open so that one sees what the layer did, the upper ones first, in at most so many rows.
  openChanges(only, limit = MANY_ROWS) {
    const opened = new Set();
    let folders = [], count = this.kidsOf(-1, only);
    for (let i = 0; i < this.count; i = this.ends[i]) if (this.touched[i]) folders.push(i);
    while (folders.length) {
      const next = [];
      for (const folder of folders) {
        if (!this.added[folder] && !this.changed[folder] && !this.hidden[folder]) continue;
        if (count + this.kidsOf(folder, only) > limit) continue;
        count += this.kidsOf(folder, only);
        opened.add(folder);
        for (let i = folder + 1; i < this.ends[folder]; i = this.ends[i]) if (this.touched[i]) next.push(i);
      }
      folders = next;
    }
    return opened;
  }

  path(i) {
    if (!this.paths) {
      this.paths = [];
      for (let one = 0; one < this.count; one++) {
        const parent = this.parents[one];
        this.paths.push(parent < 0 ? this.names[one] : `${this.paths[parent]}/${this.names[one]}`);
      }
      this.lowered = this.paths.map(one => one.toLowerCase());
    }
    return this.paths[i];
  }

  // What has the query in its path: first that path itself, then what ends with it, then where a name begins so.
  find(query) {
    const wanted = query.trim().replace(/^\/+|\/+$/g, "").toLowerCase();
    const ranks = [[], [], [], []], below = `/${wanted}`;
    if (!wanted || !this.count) return { wanted, found: [], count: 0 };
    this.path(0);
    for (let i = 0; i < this.count; i++) {
      const path = this.lowered[i], place = path.indexOf(wanted);
      if (place < 0) continue;
      const rank = path === wanted ? 0 : path.endsWith(below) ? 1 : place === 0 || path.includes(below) ? 2 : 3;
      ranks[rank].push(i);
    }
    const all = ranks.flat();
    return { wanted, found: all.slice(0, MOST_ANSWERS), count: all.length };
  }

  events(i) {
    const found = [];
    for (let one = this.first[i]; one < this.first[i + 1]; one++) {
      found.push({ layer: this.layers[one], code: this.codes[one], kind: this.kinds[one], size: this.sizes[one] });
    }
    return found;
  }
}

const inflate = packed =>
  new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).json();

function amount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 999.5 && unit < 4) [value, unit] = [value / 1000, unit + 1];
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const number = value => value.toLocaleString("en");

function make(tag, attributes = {}, ...inside) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) one.setAttribute(name, value);
  one.append(...inside);
  return one;
}

let views = 0;

export default {
  async render({ model, el }) {
    el.innerHTML = model.get("html");
    const layers = model.get("layers"), top = layers.length - 1, id = `ls${++views}`;
    const tree = new Tree(await inflate(model.get("packed")));
    const find = name => el.querySelector(`.ls-${name}`);
    const [stack, files, answers, line, deeds, now, count] = ["layers", "tree", "answers", "line", "deeds", "now", "count"].map(find);
    const [search, filter] = [el.querySelector(".ls-ask input"), el.querySelector(".ls-did input")];
    const bars = [...stack.children].reverse();
    const marks = Object.fromEntries([...find("marks").children].map(one => [one.dataset.mark, one.innerHTML]));
    const mark = role => {
      const holder = document.createElement("template");
      holder.innerHTML = marks[role];
      return holder.content.firstChild;
    };
    let depth = -1, only = model.get("only"), picked = model.get("picked");
    let opened = new Set(model.get("opened")), openedByHand = opened; // while the filter is on, it has folders of its own
    let rows = [], highest = 0, frame = null, telling = null, typed = "", typedAt = 0;
    const space = make("div", { role: "presentation" });
    files.replaceChildren(space);

    // --- what the kernel hears -------------------------------------------------------------------------------------

    const tell = () => {
      clearTimeout(telling);
      telling = setTimeout(() => {
        model.set({ depth, only, picked, search: search.value, opened: [...opened].slice(0, MOST_TOLD) });
        model.save_changes();
      }, TELL_MS);
    };

    // --- the tree --------------------------------------------------------------------------------------------------

    const placeOf = i => { // in the rows, which are sorted
      let low = 0, high = rows.length - 1;
      while (low <= high) {
        const middle = (low + high) >> 1;
        if (rows[middle] === i) return middle;
        if (rows[middle] < i) low = middle + 1; else high = middle - 1;
      }
      return -1;
    };
    const isFolder = i => tree.kidsOf(i, only) > 0;
    const countOf = (role, value) => make("span", { class: `lk-ink-${role}` }, mark(role), number(value));
    const label = i => {
      const event = tree.event[i], what = tree.kinds[event] === "d" ? "folder" : "", did = ROLES[tree.did[i]];
      const inside = DEEDS.filter(role => tree[role][i]).map(role => `${tree[role][i]} ${role} in it`);
      const lost = tree.lost.has(i) ? `${amount(tree.lost.get(i))} lost` : "";
      return [tree.names[i], what, did, ...inside, lost, amount(tree.size[i])].filter(Boolean).join(", ");
    };
    const drawRow = (i, place) => {
      const did = ROLES[tree.did[i]], kind = tree.kinds[tree.event[i]], folder = isFolder(i);
      const row = make("div", {
        role: "treeitem", id: `${id}-${i}`, class: "ls-row", "data-entry": i, "data-did": did ?? null,
        "data-folder": kind === "d" ? "" : null, "aria-label": label(i), "aria-level": tree.levels[i] + 1,
        "aria-setsize": tree.kidsOf(tree.parents[i], only), "aria-posinset": positionOf(i),
        "aria-expanded": folder ? opened.has(i) : null, "aria-selected": i === picked,
        style: `top:${place * ROW_PX}px;--level:${tree.levels[i]}`,
      });
      const name = make("span", { class: "ls-name" }, tree.names[i] + (kind === "d" ? "/" : ""));
      row.append(make("span", { class: "ls-twist" }, folder ? (opened.has(i) ? "▼" : "▶") : ""));
      row.append(make("span", { class: "ls-sign" }, ...(did ? [mark(did)] : [])), name);
      const isLast = tree.event[i] === tree.first[i + 1] - 1;
      if (kind === "l" && isLast && tree.targets.has(i)) row.append(make("span", { class: "ls-target" }, `→ ${tree.targets.get(i)}`));
      const inside = DEEDS.filter(role => tree[role][i]).map(role => countOf(role, tree[role][i]));
      if (inside.length) row.append(make("span", { class: "ls-inside" }, ...inside));
      row.append(make("span", { class: "ls-lost" }, ...(tree.lost.has(i) ? [mark("lost"), amount(tree.lost.get(i))] : [])));
      row.append(make("span", { class: "ls-size" }, kind === "d" || kind === "f" ? amount(tree.size[i]) : ""));
      return row;
    };
    const positionOf = i => {
      let position = 1;
      for (let one = tree.parents[i] + 1; one < i; one = tree.ends[one]) position += tree.shows(one, only) ? 1 : 0;
      return position;
    };
    const draw = () => {
      frame = null;
      const begin = Math.max(0, Math.floor(files.scrollTop / ROW_PX) - SPARE_ROWS);
      const end = Math.min(rows.length, Math.ceil((files.scrollTop + files.clientHeight) / ROW_PX) + SPARE_ROWS);
      const seen = rows.slice(begin, end).map((i, place) => drawRow(i, begin + place));
      if (!rows.length) seen.push(make("div", { class: "ls-none" }, only ? "This layer did nothing to the files." : "No files."));
      space.style.height = `${Math.max(1, rows.length) * ROW_PX}px`;
      space.replaceChildren(...seen);
      const place = placeOf(picked);
      if (place >= begin && place < end) files.setAttribute("aria-activedescendant", `${id}-${picked}`);
      else files.removeAttribute("aria-activedescendant");
    };
    const drawSoon = () => { frame ??= requestAnimationFrame(draw); };
    const drawTree = () => {
      rows = tree.rows(opened, only);
      // The box is as high as the longest tree so far: it leaves no room empty, and nothing below it jumps to and fro.
      highest = Math.max(highest, rows.length);
      files.style.setProperty("--rows", highest);
      space.style.height = `${Math.max(1, rows.length) * ROW_PX}px`;
      drawSoon();
    };
    const scrollTo = (place, isFar) => {
      const at = place * ROW_PX, height = files.clientHeight;
      if (at >= files.scrollTop && at + ROW_PX <= files.scrollTop + height) return;
      files.scrollTop = isFar ? at - height / 3 : at < files.scrollTop ? at : at + ROW_PX - height;
    };
    const pick = (i, isFar = false) => {
      picked = i;
      const place = placeOf(i);
      if (place >= 0) scrollTo(place, isFar);
      drawSoon();
      tell();
    };
    const toggle = (i, open = !opened.has(i)) => {
      if (!isFolder(i)) return;
      if (open) opened.add(i); else opened.delete(i);
      drawTree();
      tell();
    };

    // --- the layers ------------------------------------------------------------------------------------------------

    const filterBy = isOnly => {
      if (isOnly && !only) openedByHand = opened;
      only = filter.checked = isOnly;
      opened = only ? tree.openChanges(true, 10 * MANY_ROWS) : openedByHand;
    };
    const drawLayers = () => {
      const layer = layers[depth];
      for (const [place, bar] of bars.entries()) bar.dataset.is = place > depth ? "above" : place === depth ? "now" : "below";
      stack.setAttribute("aria-valuenow", depth + 1);
      stack.setAttribute("aria-valuetext", `layer ${depth + 1} of ${layers.length}, ${amount(layer.size)}: ${layer.line}`);
      now.textContent = `The tree after layer ${depth + 1} of ${layers.length}`;
      line.textContent = layer.line;
      deeds.replaceChildren(...DEEDS.map(role => make("span",
        layer[role] ? { class: `lk-ink-${role}` } : { "data-none": "" }, mark(role), `${number(layer[role])} ${role}`)));
      const bar = bars[depth];
      if (bar.offsetTop < stack.scrollTop) stack.scrollTop = bar.offsetTop;
      else if (bar.offsetTop + bar.offsetHeight > stack.scrollTop + stack.clientHeight) {
        stack.scrollTop = bar.offsetTop + bar.offsetHeight - stack.clientHeight;
      }
    };
    const move = wanted => {
      const next = Math.max(0, Math.min(top, wanted));
      if (next === depth || top < 0) return;
      depth = next;
      tree.look(depth);
      if (only) filterBy(true);
      drawLayers();
      drawTree();
      tell();
    };
    const show = (i, at) => {
      move(at);
      if (only && !tree.touched[i]) filterBy(false);
      for (let one = tree.parents[i]; one >= 0; one = tree.parents[one]) opened.add(one);
      drawTree();
      pick(i, true);
      files.focus({ preventScroll: true });
    };

    // --- the search ------------------------------------------------------------------------------------------------

    const marked = (path, wanted) => {
      const at = path.toLowerCase().lastIndexOf(wanted);
      return [path.slice(0, at), make("mark", {}, path.slice(at, at + wanted.length)), path.slice(at + wanted.length)];
    };
    const says = last => {
      const it = `layer ${last.layer + 1}`;
      if (last.code === HIDDEN) return [`no layer: ${it} hides it`];
      if (last.code === HIDDEN_WITH) return [`no layer: ${it} hides its folder`];
      return [`${it} gives it: `, make("code", {}, layers[last.layer].line)];
    };
    const drawAnswer = (i, wanted) => {
      const events = tree.events(i), last = events.at(-1);
      const path = make("button", { type: "button", class: "ls-path" }, ...marked(tree.path(i), wanted));
      path.addEventListener("click", () => show(i, last.layer));
      const earlier = events.length - MOST_STEPS;
      const steps = events.slice(-MOST_STEPS).map(({ layer, code, size, kind }) => {
        const role = ROLES[code] ?? "layer", bytes = kind === "f" && code < HIDDEN ? `, ${amount(size)}` : "";
        const words = `layer ${layer + 1}: ${code === THERE ? "needed" : role}${bytes}`;
        const step = make("button", { type: "button", class: `ls-step lk-ink-${role}` }, mark(role), words);
        step.addEventListener("click", () => show(i, layer));
        return step;
      });
      if (earlier > 0) steps.unshift(make("span", { class: "lk-dim" }, `… ${earlier} earlier`));
      return make("div", { class: "ls-answer", role: "listitem" },
        make("div", {}, path, make("span", {}, ...says(last))), make("div", {}, ...steps));
    };
    const drawAnswers = () => {
      const { wanted, found, count: all } = tree.find(search.value);
      answers.hidden = !wanted;
      answers.replaceChildren(...found.map(i => drawAnswer(i, wanted)));
      answers.scrollTop = 0;
      if (wanted && !all) answers.append(make("div", { class: "ls-answer" }, "No layer has a path with these letters in it."));
      count.textContent = !wanted ? "" : all > found.length ? `${number(all)} paths, the first ${found.length}`
        : `${all} path${all === 1 ? "" : "s"}`;
      tell();
    };

    // --- mouse and keys --------------------------------------------------------------------------------------------

    const moveTo = event => {
      const under = bars.findIndex(bar => event.clientY >= bar.getBoundingClientRect().top);
      move(under < 0 ? 0 : under);
    };
    stack.addEventListener("pointerdown", event => {
      if (event.button) return;
      stack.setPointerCapture(event.pointerId);
      stack.focus({ preventScroll: true });
      moveTo(event);
    });
    stack.addEventListener("pointermove", event => { if (stack.hasPointerCapture(event.pointerId)) moveTo(event); });
    files.addEventListener("scroll", drawSoon, { passive: true });
    files.addEventListener("click", event => {
      const row = event.target.closest(".ls-row");
      files.focus({ preventScroll: true });
      if (!row) return;
      const i = +row.dataset.entry;
      toggle(i);
      pick(i);
    });
    filter.addEventListener("change", () => {
      filterBy(filter.checked);
      files.scrollTop = 0;
      drawTree();
      tell();
    });
    search.addEventListener("input", drawAnswers);
    find("waste").addEventListener("click", event => {
      const button = event.target.closest("button[data-entry]");
      if (button) show(+button.dataset.entry, tree.events(+button.dataset.entry).at(-1).layer);
    });

    const typeAhead = letter => {
      const time = Date.now();
      typed = (time - typedAt < TYPING_MS ? typed : "") + letter.toLowerCase();
      typedAt = time;
      const start = placeOf(picked) + (typed.length > 1 ? 0 : 1);
      for (let step = 0; step < rows.length; step++) {
        const i = rows[(Math.max(0, start) + step) % rows.length];
        if (tree.names[i].toLowerCase().startsWith(typed)) return pick(i);
      }
    };
    const onStackKey = key => {
      const to = { ArrowUp: depth + 1, ArrowRight: depth + 1, ArrowDown: depth - 1, ArrowLeft: depth - 1,
        PageUp: depth + 5, PageDown: depth - 5, Home: 0, End: top }[key];
      if (to === undefined) return false;
      move(to);
      return true;
    };
    const onTreeKey = key => {
      const place = placeOf(picked), page = Math.max(1, Math.floor(files.clientHeight / ROW_PX) - 1);
      const to = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + page, PageUp: place - page, Home: 0,
        End: rows.length - 1 }[key];
      if (to !== undefined) {
        if (rows.length) pick(rows[Math.max(0, Math.min(rows.length - 1, to))]);
      } else if (key === "ArrowRight") {
        if (place < 0) pick(rows[0]);
        else if (isFolder(picked) && !opened.has(picked)) toggle(picked, true);
        else if (isFolder(picked)) pick(rows[place + 1]);
      } else if (key === "ArrowLeft") {
        if (place >= 0 && isFolder(picked) && opened.has(picked)) toggle(picked, false);
        else if (place >= 0 && tree.parents[picked] >= 0) pick(tree.parents[picked]);
      } else if (key === "Enter" || key === " ") {
        if (place >= 0) toggle(picked);
      } else if (key === "[" || key === "]") move(depth + (key === "]" ? 1 : -1));
      else if (key.length === 1) typeAhead(key);
      else return false;
      return true;
    };
    const onSearchKey = key => {
      if (key === "Escape" && search.value) {
        search.value = "";
        drawAnswers();
      } else if (key === "Enter" || key === "ArrowDown") {
        const first = answers.querySelector("button");
        if (first && key === "Enter") first.click();
        else first?.focus();
      } else return false;
      return true;
    };
    // JupyterLab takes keys for commands of its own. Its handler is the document's; a handler of the window comes first.
    // With Ctrl and the like they are JupyterLab's as ever, and so is Shift+Enter, which runs the cell.
    const onKey = event => {
      if (!el.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.shiftKey && (event.key === "Enter" || event.key.startsWith("Arrow"))) return;
      const { key, target } = event;
      let isDone = false;
      if (target === search) isDone = onSearchKey(key);
      else if (key === "/") {
        search.focus();
        search.select();
        isDone = true;
      } else if (target === stack) isDone = onStackKey(key);
      else if (target === files) isDone = onTreeKey(key);
      if (isDone) event.preventDefault();
      if (key !== "Tab") event.stopImmediatePropagation();
    };
    window.addEventListener("keydown", onKey, true);

    const onDepth = () => move(model.get("depth"));
    const onPicked = () => { if (model.get("picked") !== picked && model.get("picked") >= 0) show(model.get("picked"), depth); };
    model.on("change:depth", onDepth);
    model.on("change:picked", onPicked);
    search.value = model.get("search");
    filter.checked = only;
    if (top < 0) drawTree(); else move(model.get("depth"));
    if (search.value) drawAnswers();
    const later = setTimeout(() => { if (tree.count) tree.path(0); }, LATER_MS); // so that the first letter is quick, too
    const resized = new ResizeObserver(drawSoon);
    resized.observe(files);
    return () => {
      window.removeEventListener("keydown", onKey, true);
      model.off("change:depth", onDepth);
      model.off("change:picked", onPicked);
      resized.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(telling);
      clearTimeout(later);
    };
  },
};
