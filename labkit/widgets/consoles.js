// Two terminal windows on one container. A container without a terminal is given lines: what is typed is shown here
// first (local echo), and leaves whole, with its Enter. A container with a terminal is given keys, one by one; what it
// says is drawn by xterm.js, the terminal of JupyterLab, whose text the kernel sends along.

const NAMES = ["you", "your colleague"];
const PERSON = "M6 6.4A2.9 2.9 0 1 1 6 0.6 2.9 2.9 0 0 1 6 6.4M0.8 12C1 6 11 6 11.2 12Z";
const SIZES = [[24, 80], [20, 50], [43, 132]];
// The colours of a terminal, in inks that can be read on the page's ground in either theme.
const INKS = { black: "ink", red: "trouble", green: "answer", yellow: "container", blue: "request", magenta: "stdin",
  cyan: "stdout", white: "dim" };
const ANSWER = /^\x1b\[[?>]?[\d;]*[Rcn]$/; // of a terminal: ECMA-48's CPR, DA and DSR
const FONT_PX = 13, SMALLEST_PX = 11, ROWS = 20;

function frame(parent, number, end) {
  const window_ = make("section", parent, { class: "lkc-window", "aria-label": NAMES[number] });
  const head = make("div", window_, { class: "lkc-head" });
  head.innerHTML = `<svg class="lk-mark" viewBox="0 0 12 12" aria-hidden="true"><path d="${PERSON}" fill="currentColor"/></svg>`;
  make("b", head, {}, NAMES[number]);
  const state = make("span", head, { class: "lkc-state" });
  const body = make("div", window_, { class: "lkc-body" });
  const foot = make("div", window_, { class: "lkc-foot" });
  const said = make("div", window_, { class: "lkc-said", role: "status" });
  const button = make("button", head, { type: "button", title: end.title }, end.name);
  button.addEventListener("click", end.press);
  const show = (open, words) => {
    state.textContent = open ? "attached" : "ended";
    window_.dataset.open = open;
    button.hidden = foot.hidden = !open;
    said.hidden = open && !words;
    said.textContent = words;
  };
  return { window_, body, foot, show };
}

// A window of lines, and a line at the bottom to type into.
function lines(model, parent, number) {
  const say = words => model.send({ window: number, ...words });
  const one = frame(parent, number, {
    name: "End of input", title: "Ctrl-D: nothing more will be typed in this window", press: () => say({ end: true }) });
  let shown = null;
  const screen = make("div", one.body, { class: "lkc-screen", tabindex: 0, "aria-label": "text", role: "log" });
  make("span", one.foot, { class: "lkc-prompt", "aria-hidden": true }, "›");
  const input = make("input", one.foot, {
    type: "text", placeholder: "type, then Enter", "aria-label": `type as ${NAMES[number]}`, spellcheck: false, autocomplete: "off" });
  one.body.addEventListener("mouseup", () => { if (getSelection().isCollapsed) input.focus({ preventScroll: true }); });
  input.addEventListener("keydown", event => {
    if (event.isComposing) return;
    if (event.key === "Enter") say({ line: input.value });
    else if (event.key === "d" && event.ctrlKey) {
      event.preventDefault(); // the browser would make a bookmark
      say(input.value ? { keys: input.value } : { end: true }); // as a terminal does: what is typed so far, or the end
    } else return;
    input.value = "";
  });
  return {
    draw() {
      const isAtEnd = screen.scrollTop + screen.clientHeight > screen.scrollHeight - 5;
      if (shown !== model.get("screens")[number]) {
        screen.innerHTML = shown = model.get("screens")[number];
      }
      one.show(model.get("takes")[number], model.get("said")[number]);
      if (isAtEnd) screen.scrollTop = screen.scrollHeight;
    },
    end() {},
  };
}

// A window with a terminal in it.
function terminal(model, parent, number, Terminal) {
  const say = words => model.send({ window: number, ...words });
  const one = frame(parent, number, {
    name: "Detach", title: "Ctrl-P Ctrl-Q: leave, and the shell goes on", press: () => say({ keys: "\x10\x11" }) });
  make("span", one.foot, { class: "lk-dim" }, "click, and type. Shift+Tab leaves the window");
  const term = new Terminal({ rows: ROWS, cols: 50, fontSize: FONT_PX, scrollback: 500,
    cursorBlink: false });
  const place = make("div", one.body, { class: "lkc-terminal" });
  // A program asks a terminal where its cursor is, and xterm answers. Of two windows each would answer: the first that
  // is open does. What is drawn again, as the page was opened again, was answered then.
  let seen = 0, isReplay = true;
  term.onData(keys => {
    if (ANSWER.test(keys) && (isReplay || model.get("takes").indexOf(true) !== number)) return;
    say({ keys });
  });
  term.attachCustomKeyEventHandler(event => !(event.key === "Tab" && event.shiftKey));
  const paint = () => {
    const style = getComputedStyle(one.body);
    const theme = { background: style.backgroundColor, foreground: style.color, cursor: style.color,
      cursorAccent: style.backgroundColor, selectionBackground: "#7ab8ff66" };
    for (const [name, ink] of Object.entries(INKS)) {
      theme[name] = theme[`bright${name[0].toUpperCase()}${name.slice(1)}`] = style.getPropertyValue(`--lk-${ink}`).trim();
    }
    term.options.theme = theme;
    term.options.fontFamily = style.getPropertyValue("--lk-code") || "monospace";
  };
  return {
    open() {
      term.open(place);
      paint();
    },
    paint,
    place,
    resize(rows, columns, font) {
      term.options.fontSize = font;
      term.resize(columns, rows);
    },
    draw() {
      for (const [count, window_, bytes] of model.get("output")) {
        if (window_ !== number || count <= seen) continue;
        seen = count;
        term.write(Uint8Array.from(bytes, letter => letter.charCodeAt(0)));
      }
      if (isReplay) term.write("", () => { isReplay = false; });
      term.options.disableStdin = !model.get("takes")[number];
      one.show(model.get("takes")[number], model.get("said")[number]);
    },
    end: () => term.dispose(),
  };
}

// The size of both terminals: a container's terminal has one, and who sets it last sets it for all.
function sizes(model, root, windows) {
  const bar = make("div", root, { class: "lkc-sizes", role: "group", "aria-label": "size of the terminal" });
  make("span", bar, { class: "lk-dim" }, "size");
  const buttons = [["fits", null], ...SIZES.map(([rows, columns]) => [`${columns} x ${rows}`, [rows, columns]])]
    .map(([name, size]) => [make("button", bar, { type: "button" }, name), size]);
  const pen = document.createElement("canvas").getContext("2d");
  const letter = () => { // the width of a letter, as a part of the font's size
    pen.font = `100px ${getComputedStyle(root).getPropertyValue("--lk-code") || "monospace"}`;
    return pen.measureText("M").width / 100;
  };
  const wide = () => root.clientWidth - 24, half = () => (wide() - 32) / 2;
  let fits = model.get("size").length === 0;
  const ask = (rows, columns) => {
    if (`${model.get("size")}` !== `${[rows, columns]}`) model.send({ size: [rows, columns] });
  };
  const fit = () => {
    if (fits && root.clientWidth) {
      const room = half() < 300 ? wide() : half();
      ask(ROWS, Math.max(20, Math.floor(room / (FONT_PX * letter())) - 1));
    }
    draw();
  };
  const draw = () => {
    const [rows, columns] = model.get("size");
    if (!rows || !root.clientWidth) return;
    const font = room => Math.floor(10 * Math.min(FONT_PX, room / (columns + 1) / letter())) / 10;
    const isStacked = font(half()) < SMALLEST_PX;
    root.querySelector(".lkc-pair").dataset.stacked = isStacked;
    for (const one of windows) one.resize(rows, columns, Math.max(6, font(isStacked ? wide() : half())));
    for (const [button, size] of buttons) {
      button.setAttribute("aria-pressed", size ? !fits && `${size}` === `${[rows, columns]}` : fits);
    }
  };
  for (const [button, size] of buttons) {
    button.addEventListener("click", () => {
      fits = !size;
      if (size) ask(...size);
      fit();
    });
  }
  const watch = new ResizeObserver(fit);
  watch.observe(root);
  return {
    draw() {
      if (fits && model.get("chosen")) fits = false; // the program has chosen
      draw();
      bar.hidden = !model.get("takes").some(Boolean);
    },
    end: () => watch.disconnect(),
  };
}

export default {
  async render({ model, el }) {
    make("div", el).innerHTML = model.get("look");
    const root = make("div", el, { class: "lk lkc" });
    root.addEventListener("keydown", event => event.stopPropagation());
    const pair = make("div", root, { class: "lkc-pair" });
    let gone = false;
    let windows = [], parts;
    if (model.get("terminal")) {
      const url = URL.createObjectURL(new Blob([model.get("library")], { type: "text/javascript" }));
      const { Terminal } = await import(url);
      URL.revokeObjectURL(url);
      windows = NAMES.map((_, number) => terminal(model, pair, number, Terminal));
      parts = [...windows, sizes(model, root, windows)];
    } else {
      parts = windows = NAMES.map((_, number) => lines(model, pair, number));
    }
    const draw = () => {
      for (const one of parts) one.draw();
      if (gone) for (const one of root.querySelectorAll(".lkc-window")) one.dataset.open = "gone";
    };
    const CHANGES = "change:screens change:said change:takes change:output change:size change:chosen";
    model.on(CHANGES, draw);
    const leave = () => { // the kernel is restarted, and its containers are gone: nobody else is left to say so
      gone = true;
      draw();
      root.querySelectorAll("input,button").forEach(one => { one.disabled = true; });
    };
    model.on("comm_live_update", leave);
    const themes = new MutationObserver(() => windows.forEach(one => one.paint?.()));
    themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name"] });
    const start = () => {
      for (const one of windows) one.open?.();
      draw();
    };
    if (el.isConnected) start();
    else requestAnimationFrame(start);
    return () => {
      model.off(CHANGES, draw);
      model.off("comm_live_update", leave);
      themes.disconnect();
      for (const one of parts) one.end();
    };
  },
};
