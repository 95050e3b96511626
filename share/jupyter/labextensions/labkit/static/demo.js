// How does a lesson look before a class: one step a key press, large, the answer covered until the class has voted?
//
// desk.js loads this file where `labkit demo` has named a lesson. The page is an ordinary notebook of JupyterLab: its
// own copy of the lesson, so that each visit has a machine of its own. It is taken out of JupyterLab's frame; a step is
// a paragraph or what a cell puts out, and the cell runs when its step is reached.

const FORWARD = ["ArrowRight", "PageDown", " ", "Enter"];
const BACK = ["ArrowLeft", "PageUp"];
const TYPING = "input, textarea, select, [contenteditable=true], .xterm"; // what is typed there is not for us
const PRESSED = "button, a, summary"; // Space and Enter press them
const HEADING = /^H[1-6]$/;
const LIST = /^(UL|OL|TABLE|PRE)$/;
const STEP_LENGTH = 320; // letters: about a third of the page
const VIEW_WIDTH = 920; // the views are drawn for pages of about this width, in px
const TOP = 0.05, BOTTOM = 0.85; // of the height: where a step begins, or ends if it fits
const PAGE = 0.6; // of the height: how far one key scrolls
const POLL_MS = 50;
const LETTERS = "ABCDEFGHIJ";

// Before JupyterLab starts. Its workspace holds what was open: a second visit would join the machine of the first.
export function prepare({ coreutils }) {
  coreutils.PageConfig.setOption("workspace", `demo-${crypto.randomUUID()}`);
  // The copy is thrown away: nobody has to be asked whether to leave it.
  window.addEventListener("beforeunload", event => event.stopImmediatePropagation(), true);
}

export async function show({ app, coreutils, services, cells, lumino }, base) {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("demo.css", base).href;
  document.head.append(style);
  document.body.classList.add("labkit-demo");
  await app.restored;
  const lesson = coreutils.PageConfig.getOption("labkitDemo");
  const { path } = await app.serviceManager.contents.copy(lesson, "");
  const panel = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
  await Promise.all([panel.context.ready, panel.revealed]);
  // All cells are on the page, not only those in sight.
  panel.content.notebookConfig = { ...panel.content.notebookConfig, windowingMode: "none" };
  panel.parent = null;
  app.shell.hide();
  const host = new lumino.StackedPanel();
  host.addClass("labkit-stage");
  host.addWidget(panel);
  panel.show(); // JupyterLab's launcher may have come in front of it
  lumino.Widget.attach(host, document.body);
  window.addEventListener("resize", () => host.update());
  await panel.sessionContext.ready;
  window.addEventListener("pagehide", () => endMachine(services, coreutils, panel));
  await Promise.all(panel.content.widgets.map(cell => cell.ready));
  await until(() => panel.content.widgets.every(isDrawn));
  const talk = new Talk(app, cells.CodeCell, panel);
  await talk.go(0);
}

// The page is closed or loaded anew. The server ends what idles without a page, but it may count a page that is gone.
function endMachine({ ServerConnection }, { URLExt }, panel) {
  const { baseUrl, token } = ServerConnection.makeSettings();
  const url = URLExt.join(baseUrl, "api/sessions", panel.sessionContext.session?.id ?? "");
  void fetch(url, { method: "DELETE", keepalive: true, headers: { Authorization: `token ${token}` } });
}

const isDrawn = cell => cell.model.type !== "markdown" || blocksOf(cell).length > 0;

async function until(isTrue) {
  while (!isTrue()) await new Promise(resolve => setTimeout(resolve, POLL_MS));
}

// --- the steps -------------------------------------------------------------------------------------------------------

// The links to other lessons lead out of the demonstration.
const blocksOf = cell => [...cell.node.querySelectorAll(".jp-MarkdownOutput > *")]
  .filter(block => ![...block.querySelectorAll("a")].some(link => link.textContent === "all lessons"));

// A step of words is the first and the last block of it, by number: JupyterLab may draw the blocks anew. A heading and a
// sentence that ends with a colon go on; so do short sentences, and a list belongs to what is said before it.
function splitWords(cell) {
  const steps = [];
  let open = null, before = null;
  for (const [number, block] of blocksOf(cell).entries()) {
    const isShort = open && block.tagName === "P" && before.tagName !== "BLOCKQUOTE"
      && !open.hasPicture && open.length + block.textContent.length <= STEP_LENGTH;
    const isMore = before && (HEADING.test(before.tagName) || LIST.test(block.tagName) || isShort
      || (before.textContent.trimEnd().endsWith(":") && !open.hasPicture));
    if (!isMore || HEADING.test(block.tagName)) steps.push(open = { cell, first: number, length: 0 });
    open.last = number;
    open.length += block.textContent.length;
    open.hasPicture ||= block.querySelector("img") !== null;
    before = block;
  }
  return steps;
}

function makeSteps(widgets) {
  const steps = [], cards = new Map();
  for (const cell of widgets) {
    if (cell.model.type === "markdown") steps.push(...splitWords(cell));
    if (cell.model.type !== "code") continue;
    const source = cell.model.sharedModel.source;
    const step = { cell, isCode: true, isDone: false };
    const asked = source.match(/^(\w+) = predict\(/m)?.[1];
    const answered = [...source.matchAll(/\b(\w+)\.verdict\(/g)].map(found => found[1]).find(name => cards.has(name));
    if (asked) cards.set(asked, Object.assign(step, { votes: [], history: [] }));
    else if (answered) step.card = cards.get(answered);
    steps.push(step);
  }
  return steps;
}

// --- the talk --------------------------------------------------------------------------------------------------------

class Talk {
  constructor(app, CodeCell, panel) {
    Object.assign(this, { app, CodeCell, panel, at: 0, isBusy: false, isScrolled: false });
    this.steps = makeSteps(panel.content.widgets);
    this.scroller = panel.content.outerNode ?? panel.content.node;
    this.foot = document.createElement("footer");
    this.foot.className = "labkit-foot";
    document.body.append(this.foot);
    this.size();
    window.addEventListener("resize", () => this.size());
    // JupyterLab's own keys would change the notebook; in an editor they are wanted.
    const process = app.commands.processKeydownEvent.bind(app.commands);
    app.commands.processKeydownEvent = event => { if (event.target.closest?.(".cm-editor")) process(event); };
    document.addEventListener("keydown", event => this.onKey(event));
    document.addEventListener("click", event => this.onClick(event), true);
    // The focus stays away from an answer that was clicked: Enter is for the machine.
    document.addEventListener("mousedown", event => { if (answerOf(event)) event.preventDefault(); }, true);
    for (const name of ["focusin", "focusout"]) document.addEventListener(name, () => setTimeout(() => this.tell()));
    for (const name of ["wheel", "pointerdown"]) {
      this.scroller.addEventListener(name, () => { this.isScrolled = true; }, { passive: true });
    }
    // What a cell puts out is drawn bit by bit.
    const grown = new ResizeObserver(() => { if (!this.isScrolled) this.place(); });
    grown.observe(panel.content.viewportNode ?? panel.content.node.firstElementChild);
  }

  size() {
    document.body.style.setProperty("--labkit-zoom", Math.max(1, window.innerWidth / VIEW_WIDTH).toFixed(3));
  }

  get now() { return this.steps[this.at]; }

  // The card that is open: the last one on the page that the machine has not answered.
  get ballot() {
    const answered = new Set(this.steps.filter(step => step.isDone).map(step => step.card));
    return this.steps.slice(0, this.at + 1).reverse().find(step => step.votes && !answered.has(step));
  }

  get isCovered() {
    const next = this.steps[this.at + 1];
    return Boolean(next?.card && !next.isDone);
  }

  async forward(isEnter) {
    if (this.isBusy) return;
    if (this.hasMore) return this.scroll(PAGE);
    if (this.at + 1 >= this.steps.length) return;
    if (this.isCovered && !isEnter) {
      this.foot.classList.remove("labkit-nudge");
      void this.foot.offsetWidth; // or the movement would not begin anew
      this.foot.classList.add("labkit-nudge");
      return;
    }
    await this.go(this.at + 1);
    const { isCode, isSilent } = this.now;
    if (isCode && isSilent && !this.isCodeShown && !this.isCovered) await this.forward(false);
  }

  back() {
    if (this.isBusy || this.at === 0) return;
    const isEmpty = step => step.isCode && step.isSilent && !this.isCodeShown;
    let to = this.at - 1;
    while (to > 0 && isEmpty(this.steps[to])) to -= 1;
    void this.go(to);
  }

  async go(to) {
    this.at = to;
    this.isScrolled = false;
    this.draw();
    if (this.now.isCode && !this.now.isDone) await this.run(this.now);
    this.draw();
  }

  async run(step) {
    this.isBusy = true;
    if (step.card) this.closeVote(step.card);
    this.tell();
    try {
      await this.CodeCell.execute(step.cell, this.panel.sessionContext);
    } catch { // its machine has ended; the output says so
    } finally {
      this.isBusy = false;
    }
    step.isDone = true;
    step.isSilent = step.cell.outputArea.model.length === 0;
    if (step.votes) await until(() => answersOn(step.cell).length > 0 || hasFailed(step.cell));
    if (step.card) await this.showVotes(step);
    this.draw();
  }

  // --- the vote ------------------------------------------------------------------------------------------------------

  vote(number) {
    const card = this.ballot;
    if (!card || this.isBusy || number >= answersOn(card.cell).length) return;
    card.votes[number] = (card.votes[number] ?? 0) + 1;
    card.history.push(number);
    this.draw();
  }

  takeBack() {
    const number = this.ballot?.history.pop();
    if (number === undefined) return;
    this.ballot.votes[number] -= 1;
    this.draw();
  }

  // What most of the class said is what the lesson notes as the choice; where no answer has most, there is none.
  closeVote(card) {
    const most = Math.max(0, ...card.votes.filter(Boolean));
    const first = answersOn(card.cell).filter((_, number) => most > 0 && card.votes[number] === most);
    if (first.length !== 1) return;
    this.isChoosing = true;
    first[0].click();
    document.activeElement?.blur(); // a card keeps the focus, and with it the keys
    this.isChoosing = false;
  }

  async showVotes(step) {
    const verdict = () => step.cell.outputArea.node.querySelector('[aria-label^="verdict: "]');
    await until(() => verdict() || hasFailed(step.cell) || step.isSilent);
    const machine = verdict()?.getAttribute("aria-label").slice("verdict: ".length).replaceAll("`", "");
    const answers = answersOn(step.card.cell).map(textOf);
    const most = Math.max(1, ...answers.map((_, number) => step.card.votes[number] ?? 0));
    step.tally?.remove();
    step.tally = make("div", "labkit-tally");
    step.tally.setAttribute("aria-label", "votes");
    for (const [number, answer] of answers.entries()) {
      const votes = step.card.votes[number] ?? 0;
      const row = make("div", answer === machine ? "labkit-row labkit-machine" : "labkit-row");
      const bar = make("span", "labkit-votebar");
      bar.style.setProperty("--labkit-part", votes / most);
      row.append(make("b", "", LETTERS[number]), make("span", "", answer), bar, make("b", "", String(votes)),
        make("span", "", answer === machine ? "the machine" : ""));
      step.tally.append(row);
    }
    step.cell.node.append(step.tally);
  }

  // --- the page ------------------------------------------------------------------------------------------------------

  draw() {
    const seen = new Map(); // by cell: how many of its blocks
    const reached = this.steps.slice(0, this.at + 1);
    for (const step of reached) seen.set(step.cell, step.isCode ? 1 : step.last + 1);
    for (const cell of this.panel.content.widgets) {
      cell.node.classList.toggle("labkit-later", !seen.has(cell));
      cell.node.classList.toggle("labkit-now", cell === this.now.cell && Boolean(this.now.isCode));
      if (cell.model.type !== "markdown") continue;
      for (const block of cell.node.querySelectorAll(".jp-MarkdownOutput > *")) block.classList.add("labkit-later");
      blocksOf(cell).slice(0, seen.get(cell) ?? 0).forEach(block => block.classList.remove("labkit-later"));
    }
    for (const step of this.steps) if (step.votes) this.drawCard(step);
    this.tell();
    if (!this.isScrolled) this.place();
  }

  drawCard(card) {
    const isOpen = card === this.ballot;
    for (const [number, button] of answersOn(card.cell).entries()) {
      button.tabIndex = -1;
      let votes = button.querySelector(".labkit-votes");
      if (!votes) button.querySelector(".lk-says").before(votes = make("span", "labkit-votes"));
      votes.textContent = card.votes[number] ?? 0;
    }
    card.cover ??= card.cell.node.appendChild(make("div", "labkit-cover"));
    card.cover.textContent = "What the machine says is covered until you have voted.";
    card.cover.hidden = !isOpen || !card.isDone || hasFailed(card.cell);
  }

  // One line at the bottom: where we are, and what the keys do now.
  tell() {
    const count = `${this.at + 1} / ${this.steps.length}`;
    const says = document.activeElement?.closest?.(`${TYPING}, .cm-editor`)
      ? "Keys go to what you clicked. Click beside it to go on."
      : this.isBusy ? "The machine works ..."
        : this.ballot && this.isCovered
          ? `Vote: 1 to ${answersOn(this.ballot.cell).length}, or click. Backspace takes one back. Enter: the machine.`
          : this.at + 1 < this.steps.length ? "→ next   ← back   c code   r again   t light or dark" : "The end.   ← back";
    if (this.foot.textContent !== says + count) this.foot.replaceChildren(make("span", "", says), make("span", "", count));
  }

  // Where the step begins and ends, from the top of all that can be scrolled, in px.
  get extent() {
    const nodes = this.now.isCode ? [this.now.cell.node]
      : blocksOf(this.now.cell).slice(this.now.first, this.now.last + 1);
    const above = this.scroller.getBoundingClientRect().top - this.scroller.scrollTop;
    return [nodes[0].getBoundingClientRect().top - above, nodes.at(-1).getBoundingClientRect().bottom - above];
  }

  // The step ends near the lower edge, with what came before above it; one that is too high begins at the top.
  place() {
    const height = this.scroller.clientHeight;
    const [top, bottom] = this.extent;
    this.scroller.scrollTop = Math.min(top - TOP * height, bottom - BOTTOM * height);
  }

  // Of a step that is too high for the page, is there more below?
  get hasMore() {
    const { clientHeight, scrollTop } = this.scroller;
    const [top, bottom] = this.extent;
    return bottom - top > clientHeight * (BOTTOM - TOP) && bottom > scrollTop + clientHeight;
  }

  scroll(part) {
    this.isScrolled = true;
    this.scroller.scrollTop += part * this.scroller.clientHeight;
  }

  // --- keys and clicks -----------------------------------------------------------------------------------------------

  onKey(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (target.closest?.(`${TYPING}, .cm-editor`)) return;
    if ((key === " " || key === "Enter") && target.closest?.(PRESSED)) return;
    if (FORWARD.includes(key)) void this.forward(key === "Enter");
    else if (BACK.includes(key)) this.back();
    else if (key === "ArrowDown") this.scroll(PAGE / 3);
    else if (key === "ArrowUp") this.scroll(-PAGE / 3);
    else if (/^[1-9]$/.test(key)) this.vote(Number(key) - 1);
    else if (key === "Backspace") this.takeBack();
    else if (key === "c") this.showCode();
    else if (key === "r" && this.now.isCode && !this.isBusy) void this.run(this.now);
    else if (key === "t") this.changeTheme();
    else return;
    event.preventDefault();
  }

  onClick(event) {
    const button = answerOf(event);
    if (!button || this.isChoosing) return;
    event.stopImmediatePropagation();
    if (this.ballot?.cell.node.contains(button)) this.vote(answersOn(this.ballot.cell).indexOf(button));
  }

  get isCodeShown() { return document.body.classList.contains("labkit-code"); }

  showCode() {
    document.body.classList.toggle("labkit-code");
    this.isScrolled = false;
    this.draw();
  }

  changeTheme() {
    const isLight = document.body.dataset.jpThemeLight === "true";
    void this.app.commands.execute("apputils:change-theme", { theme: isLight ? "JupyterLab Dark" : "JupyterLab Light" });
  }
}

function make(tag, name, text = "") {
  const node = document.createElement(tag);
  node.className = name;
  node.textContent = text;
  return node;
}

const answersOn = cell => [...cell.node.querySelectorAll(".lk-answers button[data-answer]")];
const answerOf = event => event.target.closest?.(".lk-answers button[data-answer]");
const textOf = button => button.children[1].textContent;
const hasFailed = cell => cell.outputArea.model.toJSON().some(output => output.output_type === "error");
