// What helps to read a lesson from its top to its end: what is selected after a choice, which text comes after a result,
// what stays in sight when a result is long; addresses, tables and the cards of the home page. desk.js calls it.

const LOCAL = /^https?:\/\/(localhost|127(\.\d+){3}|\[::1\])(?=[:/]|$)/i;
const VERDICT = /\.verdict\(/;
const HEADING = /^#{1,3} /;
const SETTLE_MS = 1500; // a view is drawn a moment after its cell is done
const ROOM_PX = 8;
const SHORT = 28; // letters; longer code may go on in the next line
const shown = new WeakSet(); // the texts that the learner wanted to read before their time

// A card tells which cell is to be selected: its own (step 0), or after a choice the next one (step 1), so that
// Shift+Enter goes on. The focus stays on the card, where another letter changes the choice.
export function followCards(content) {
  content.node.addEventListener("labkit-card", event => {
    const here = content.widgets.findIndex(cell => cell.node.contains(event.target));
    const wanted = here + event.detail.step;
    if (here < 0 || wanted >= content.widgets.length) return;
    content.deselectAll();
    content.activeCellIndex = wanted;
  });
  content.node.addEventListener("click", event => {
    const cell = content.widgets.find(one => one.hasClass("labkit-not-yet") && one.node.contains(event.target));
    if (!cell) return;
    shown.add(cell);
    cell.removeClass("labkit-not-yet");
  });
}

// The text below the cell that answers a prediction says what came out: it is read when that cell has run. The next
// heading begins something else, and is seen with what is below it.
export function holdBack(content) {
  let isOpen = false; // does a cell above ask for its run before one reads on?
  for (const cell of content.widgets) {
    if (cell.model.type === "code") {
      isOpen = cell.model.executionCount === null && VERDICT.test(cell.model.sharedModel.getSource());
    } else {
      if (HEADING.test(cell.model.sharedModel.getSource())) isOpen = false;
      cell.toggleClass("labkit-not-yet", isOpen && !shown.has(cell));
    }
  }
}

// JupyterLab scrolls to the next cell before there is a result, and a long result then stands above the page's top. Its
// beginning is kept in sight until the learner scrolls.
export function keepResult(content, cell) {
  const here = content.widgets.indexOf(cell);
  if (cell.model.type !== "code" || content.activeCellIndex !== here + 1) return;
  const page = content.node.querySelector(".jp-WindowedPanel-outer") ?? content.node;
  const result = cell.outputArea.node;
  const look = () => {
    const above = page.getBoundingClientRect().top - result.getBoundingClientRect().top;
    if (result.isConnected && result.offsetHeight > 0 && above > 0) page.scrollTop -= above + ROOM_PX;
  };
  const watch = new ResizeObserver(look);
  const stop = () => {
    watch.disconnect();
    for (const name of ["wheel", "pointerdown", "keydown"]) window.removeEventListener(name, stop, true);
  };
  for (const name of ["wheel", "pointerdown", "keydown"]) window.addEventListener(name, stop, true);
  watch.observe(result);
  setTimeout(stop, SETTLE_MS);
}

// An address of the lesson's machine leads nowhere on the computer on which the page is read. Without its address a
// link is text; JupyterLab keeps the element, which it may change later.
export function unlink(root) {
  for (const link of root.querySelectorAll(".jp-OutputArea-output pre a[href]")) {
    if (LOCAL.test(link.getAttribute("href"))) link.removeAttribute("href");
  }
}

// A short piece of code in a line of prose stays whole: else a line may end within `--name web`, after the dashes.
export function keepShortCode(root) {
  for (const code of root.querySelectorAll(".jp-RenderedMarkdown :is(p, li) > code:not([data-labkit])")) {
    code.dataset.labkit = code.textContent.length <= SHORT ? "short" : "long";
  }
}

// A path in a table may go on in the next line after a slash, but not after its first one.
export function breakPaths(root) {
  for (const code of root.querySelectorAll(".jp-RenderedMarkdown :is(td, th) code:not([data-labkit])")) {
    code.dataset.labkit = "path";
    if (code.childElementCount > 0) continue;
    const parts = code.textContent.split(/(?<=[^\s/]\/|[,=&?])(?=[^/,])/);
    code.replaceChildren(...parts.flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part])));
  }
}

// The cards of the home page's picture lead where the links of its table lead, in the same order. An image has no
// links of its own: they lie over it. They are for the mouse; the table is there for the keyboard.
export async function linkCards(viewer) {
  const picture = viewer.querySelector('.jp-RenderedMarkdown img[alt^="The course"]:not([data-labkit])');
  if (!picture) return;
  picture.dataset.labkit = "cards";
  // At first the address is as the page has it, relative to nothing; JupyterLab puts that of the file in its place.
  if (!picture.naturalWidth) await new Promise(resolve => picture.addEventListener("load", resolve, { once: true }));
  const text = await (await fetch(picture.src)).text();
  const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const cards = [...svg.querySelectorAll("rect[x][y]")];
  const links = [...viewer.querySelectorAll(".jp-RenderedMarkdown table a")];
  if (cards.length !== links.length || !picture.isConnected) return;
  const size = { x: svg.getAttribute("width"), y: svg.getAttribute("height") };
  const frame = document.createElement("span");
  frame.className = "labkit-cards";
  picture.replaceWith(frame);
  frame.append(picture);
  for (const [number, card] of cards.entries()) {
    const area = document.createElement("span");
    const part = (name, whole) => `${(100 * card.getAttribute(name)) / whole}%`;
    area.title = links[number].textContent;
    area.setAttribute("aria-hidden", "true");
    Object.assign(area.style, {
      left: part("x", size.x), top: part("y", size.y), width: part("width", size.x), height: part("height", size.y),
    });
    area.addEventListener("click", () => links[number].click());
    frame.append(area);
  }
}
