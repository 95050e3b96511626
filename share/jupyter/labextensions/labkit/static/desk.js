// What does JupyterLab show of a lesson beyond what it shows of any notebook?
//
// Nothing is built: JupyterLab loads this file as it loads what webpack makes of an extension. Module federation asks a
// script for window._JUPYTERLAB[name] = {init(shareScope), get(module)}; the share scope has JupyterLab's own modules.
// Only notebooks whose kernel is Docker Lab are changed, and all that is essential works without this file.

(() => {
  const KERNEL = "docker-lab";
  const HOME = "home.md";
  const WIDGET = "application/vnd.jupyter.widget-view+json";
  const STILLS = ["image/svg+xml", "text/html", "text/plain"]; // of a view, the best first
  // What the learner saw, in the learner's copy alone: {when, svg}. Nobody renders it but this file.
  const SEEN = "application/vnd.labkit.seen+json";
  const BROKEN = "jupyter-widgets-disconnected"; // ipywidgets marks so what has lost its kernel
  const MODEL_PATIENCE_MS = 500; // a model may come a moment after its view
  const LOOK_MS = 100;
  const LESSON = /^\d\d[a-z]?-[^/]*\.ipynb$/;
  const KEPT = /-(kept|new)-\d+\.ipynb$/; // a learner's older copy, or a newer lesson beside one

  const base = document.currentScript.src;
  let scope = null;

  async function load(name) {
    const versions = Object.values(scope[name] ?? {});
    const chosen = versions.find(one => one.loaded) ?? versions[0];
    return (await chosen.get())();
  }

  async function makePlugin() {
    const names = ["@jupyterlab/apputils", "@jupyterlab/coreutils", "@jupyterlab/notebook", "@jupyterlab/services",
      "@lumino/widgets"];
    const [apputils, coreutils, notebook, services, lumino] = await Promise.all(names.map(load));
    const reading = await import(new URL("reading.js", base).href);
    // A teacher's page: `labkit demo` names the lesson.
    const demo = coreutils.PageConfig.getOption("labkitDemo") ? await import(new URL("demo.js", base).href) : null;
    demo?.prepare({ coreutils });
    return {
      id: "labkit:desk",
      autoStart: true,
      requires: [notebook.INotebookTracker],
      activate: (app, tracker) => {
        const style = document.createElement("link");
        style.rel = "stylesheet";
        style.href = new URL("desk.css", base).href;
        document.head.append(style);
        explainWords();
        const desk = { app, apputils, coreutils, services, lumino, reading };
        const keepHome = makeHomeKeeper(desk);
        notebook.NotebookActions.executed.connect((_, { notebook: content, cell }) => {
          if (content.hasClass("labkit-lesson")) reading.keepResult(content, cell);
        });
        app.shell.currentChanged?.connect((_, { newValue }) => keepHome(newValue));
        tracker.forEach(panel => dress(panel, desk));
        tracker.widgetAdded.connect((_, panel) => dress(panel, desk));
        if (demo) void load("@jupyterlab/cells").then(cells => demo.show({ ...desk, cells }, base));
      },
    };
  }

  // A notebook's own kernel name, also before its kernel has started.
  const isLesson = panel =>
    (panel.model?.sharedModel.getMetadata("kernelspec")?.name ?? panel.sessionContext.kernelPreference.name) === KERNEL;

  function dress(panel, desk) {
    const views = new Set();
    const { rendermime } = panel.content;
    const create = rendermime.createRenderer.bind(rendermime);
    rendermime.createRenderer = mime => {
      const renderer = create(mime);
      if (mime === WIDGET) new Revisited(renderer, create, panel, views, desk.lumino);
      return renderer;
    };
    panel.sessionContext.statusChanged.connect((_, status) => {
      if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) views.forEach(view => view.lose());
    });
    panel.sessionContext.kernelChanged.connect((_, { newValue }) => {
      if (newValue === null) views.forEach(view => view.lose());
    });
    void panel.context.ready.then(() => {
      if (panel.isDisposed || !isLesson(panel)) return;
      const { reading } = desk;
      panel.content.addClass("labkit-lesson");
      reading.followCards(panel.content);
      let planned = null; // not with each change: a live view makes many
      const look = () => {
        planned = null;
        if (panel.isDisposed) return;
        dressProse(panel.content.node);
        reading.keepShortCode(panel.content.node);
        reading.breakPaths(panel.content.node);
        reading.unlink(panel.content.node);
        reading.holdBack(panel.content);
        takeLinks(panel);
        views.forEach(view => view.check());
      };
      const watch = new MutationObserver(() => { planned ??= setTimeout(look, LOOK_MS); });
      watch.observe(panel.content.node, { childList: true, subtree: true, attributeFilter: ["class"] });
      panel.disposed.connect(() => watch.disconnect());
      look();
      void addBar(panel, desk);
      showContents(desk.app);
    });
  }

  // --- a second visit ----------------------------------------------------------------------------------------------

  // A view that lives in the kernel; where it cannot live, the still picture that is stored with it, and since when.
  // The renderer stays ipywidgets' own, which gives its manager to those that it finds in the notebook.
  class Revisited {
    constructor(renderer, create, panel, views, { Panel, Widget }) {
      Object.assign(this, { renderer, create, panel, views, Panel, Widget });
      Object.assign(this, { model: null, still: null, isLive: false, isWriting: false, live: null });
      this.renderLive = renderer.renderModel.bind(renderer);
      renderer.renderModel = model => this.render(model);
      renderer.disposed.connect(() => views.delete(this));
      views.add(this);
    }

    async render(model) {
      if (this.isWriting) return; // it is as it was but for what nobody sees
      this.model = model;
      this.still?.dispose();
      this.still = null;
      if (isLesson(this.panel) && "_manager" in this.renderer) {
        const manager = await this.renderer._manager.promise;
        if (this.renderer.isDisposed) return;
        if (!(await this.hasModel(manager))) {
          await this.showStill();
          // What a kernel that ran already still has is known later.
          if (!manager.restoredStatus) manager.restored.connect(this.revive, this);
          return;
        }
      }
      await this.renderLive(model);
      this.isLive = true;
      this.renderer.addClass("labkit-live");
      this.check();
      if (this.isLive && isLesson(this.panel)) await this.remember();
    }

    // Keep what is seen now with the output, and when it was; again whenever the kernel says that it has changed.
    async remember() {
      const manager = await this.renderer._manager.promise;
      const id = this.model.data[WIDGET]?.model_id;
      if (!manager.has_model(id)) return;
      const live = await manager.get_model(id);
      if (this.live !== live) {
        this.live?.off("change:still", this.keepSeen, this);
        this.live = live;
        live.on("change:still", this.keepSeen, this);
        this.renderer.disposed.connect(() => live.off("change:still", this.keepSeen, this));
      }
      this.keepSeen();
    }

    keepSeen() {
      const { data } = this.model;
      const svg = this.live.get("still") ?? "";
      if (!this.isLive || this.renderer.isDisposed || (data[SEEN] && data[SEEN].svg === svg)) return;
      this.isWriting = true; // JupyterLab renders at once what has changed
      try {
        this.model.setData({ data: { ...data, [SEEN]: { when: new Date().toISOString(), svg } } });
      } finally {
        this.isWriting = false;
      }
    }

    async hasModel(manager) {
      const id = this.model.data[WIDGET]?.model_id;
      if (id === "" || manager.has_model(id)) return true;
      if (manager.restoredStatus) await new Promise(resolve => setTimeout(resolve, MODEL_PATIENCE_MS));
      return manager.has_model(id);
    }

    revive(manager) {
      manager.restored.disconnect(this.revive, this);
      if (!this.renderer.isDisposed && manager.has_model(this.model.data[WIDGET]?.model_id)) void this.render(this.model);
    }

    // Has ipywidgets given it up?
    check() {
      const { node } = this.renderer;
      if (node.querySelector(`.${BROKEN}`) || /^Error (displaying|creating) widget/.test(node.textContent)) this.lose();
    }

    lose() {
      if (!this.isLive || !isLesson(this.panel)) return;
      this.isLive = false;
      this.renderer.removeClass("labkit-live");
      void this.showStill();
    }

    async showStill() {
      const { Panel, Widget, renderer, model } = this;
      for (const widget of renderer.widgets) widget.hide();
      for (const text of [...renderer.node.childNodes]) if (text.nodeType === Node.TEXT_NODE) text.remove();
      this.still = new Panel();
      this.still.addClass("labkit-still");
      renderer.addWidget(this.still);
      const seen = model.data[SEEN];
      const mime = STILLS.find(one => model.data[one]);
      if (seen?.svg) {
        this.still.addWidget(new Widget({ node: drawSafely(seen.svg) }));
      } else if (mime) {
        const picture = this.create(mime);
        this.still.addWidget(picture);
        await picture.renderModel(model);
      }
      const note = new Widget({ node: document.createElement("p") });
      note.addClass("labkit-note");
      note.node.textContent = `As it was ${tell(new Date(seen?.when ?? NaN))}. Run this cell to bring it to life.`;
      this.still?.addWidget(note);
    }
  }

  // In an image no script of an SVG runs, and nothing is loaded: it is safe, whoever wrote the notebook.
  function drawSafely(svg) {
    const image = document.createElement("img");
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    const words = new DOMParser().parseFromString(svg, "image/svg+xml").querySelectorAll("text");
    image.alt = [...words].map(one => one.textContent).join(" "); // for those who do not see it
    return image;
  }

  function tell(when) {
    if (Number.isNaN(when.getTime())) return "when this cell last ran";
    const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    return when.toDateString() === new Date().toDateString() ? `at ${time}`
      : `on ${when.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" })} at ${time}`;
  }

  // --- prose -------------------------------------------------------------------------------------------------------

  function dressProse(root) {
    for (const word of root.querySelectorAll(".jp-RenderedMarkdown abbr[title]")) {
      word.dataset.labkitSays = word.title;
      word.setAttribute("aria-description", word.title);
      word.removeAttribute("title"); // the browser would show it a second time
      word.tabIndex = 0;
    }
    for (const quote of root.querySelectorAll(".jp-RenderedMarkdown blockquote:not([data-labkit])")) {
      const first = quote.querySelector(":scope > p:first-child > strong:first-child")?.textContent ?? "";
      const isFirst = quote.textContent.trim().startsWith(first);
      quote.dataset.labkit = !isFirst ? "" : first.startsWith("Keep") ? "keep"
        : first.startsWith("From the notes") ? "notes" : "";
    }
  }

  // One line for each dotted word, on hover, on focus and on a tap. It lies over the page: within a cell it would be cut.
  function explainWords() {
    const line = document.createElement("div");
    line.className = "labkit-word";
    line.setAttribute("role", "tooltip");
    line.hidden = true;
    document.body.append(line);
    const wordOf = event => event.target instanceof Element && event.target.closest("abbr[data-labkit-says]");
    const show = event => {
      const word = wordOf(event);
      if (!word) return;
      line.textContent = word.dataset.labkitSays;
      line.hidden = false;
      const place = word.getBoundingClientRect();
      const left = Math.min(place.left, window.innerWidth - line.offsetWidth - 8);
      const isBelow = place.bottom + line.offsetHeight + 8 < window.innerHeight;
      line.style.left = `${Math.max(8, left)}px`;
      line.style.top = `${isBelow ? place.bottom + 4 : place.top - line.offsetHeight - 4}px`;
    };
    const hide = () => { line.hidden = true; };
    for (const name of ["mouseover", "focusin", "click"]) document.addEventListener(name, show);
    document.addEventListener("mouseout", event => { if (wordOf(event) && !event.target.matches(":focus")) hide(); });
    document.addEventListener("focusout", hide);
    document.addEventListener("scroll", hide, true);
    document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); }, true);
  }

  // --- the bar of a lesson -----------------------------------------------------------------------------------------

  let hasShownContents = false;

  // Once: whoever closes the table of contents does not want it.
  function showContents(app) {
    if (hasShownContents || !app.commands.hasCommand("toc:show-panel")) return;
    hasShownContents = true;
    void app.restored.then(() => app.commands.execute("toc:show-panel"));
  }

  const hasDesk = ({ coreutils }) => coreutils.PageConfig.getOption("labkitDesk") === "true";

  async function addBar(panel, desk) {
    const { app, lumino } = desk;
    const path = panel.context.path;
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const names = (await app.serviceManager.contents.get(folder)).content.map(one => one.name);
    const lessons = names.filter(name => LESSON.test(name) && !KEPT.test(name)).sort();
    const here = lessons.indexOf(path.slice(folder.length));
    const bar = new lumino.Widget({ node: document.createElement("nav") });
    bar.addClass("labkit-bar");
    bar.node.setAttribute("aria-label", "lessons");
    const open = name => () => app.commands.execute("docmanager:open", { path: folder + name });
    const add = (text, act, name = "") => {
      const button = document.createElement("button");
      button.className = name;
      button.textContent = text;
      button.addEventListener("click", act);
      bar.node.append(button);
    };
    if (here > 0) add("‹ previous", open(lessons[here - 1]));
    if (names.includes(HOME)) add("all lessons", open(HOME));
    if (here >= 0 && here + 1 < lessons.length) add("next ›", open(lessons[here + 1]));
    const words = document.createElement("span");
    bar.node.append(words);
    if (hasDesk(desk) && here >= 0 && folder === "") add("Begin this lesson anew", () => beginAgain(panel, desk), "labkit-again");
    if (bar.node.childElementCount === 1 || panel.isDisposed) return;
    panel.contentHeader.addWidget(bar);
    takeLinks(panel);
  }

  // A lesson's first cell has the same links for those who read it elsewhere: once is enough. How long it takes stays.
  function takeLinks(panel) {
    const words = panel.node.querySelector(".labkit-bar > span");
    if (!words) return;
    for (const link of panel.content.node.querySelectorAll(".jp-MarkdownCell .jp-RenderedMarkdown > p:not([hidden]) > a")) {
      if (link.textContent !== "all lessons") continue;
      link.parentElement.hidden = true;
      words.textContent = link.parentElement.textContent.match(/about \d+ minutes.*$/)?.[0] ?? "";
    }
  }

  async function ask({ coreutils, services }, what, body) {
    const settings = services.ServerConnection.makeSettings();
    const url = coreutils.URLExt.join(settings.baseUrl, "labkit", what);
    const answer = await services.ServerConnection.makeRequest(
      url, { method: "POST", body: JSON.stringify(body) }, settings);
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message ?? answer.statusText);
    return said;
  }

  async function beginAgain(panel, desk) {
    const { Dialog, showDialog, showErrorMessage } = desk.apputils;
    const buttons = [Dialog.cancelButton({ label: "No" }), Dialog.warnButton({ label: "Begin anew" })];
    const body = "The lesson will be as it was at the beginning, on a new machine. Your copy of it stays in this folder, "
      + "under another name.";
    const chosen = await showDialog({ title: "Begin this lesson anew?", body, buttons, defaultButton: 0 });
    if (!chosen.button.accept) return;
    try {
      if (panel.model.dirty) await panel.context.save();
      const { kept } = await ask(desk, "again", { lesson: panel.context.path });
      await panel.context.revert();
      if (panel.sessionContext.session?.kernel) await panel.sessionContext.restartKernel();
      const words = kept ? `Your copy is now ${kept}.` : "It was still as it is at the beginning.";
      desk.apputils.Notification.info(`The lesson begins anew. ${words}`, { autoClose: 8000 });
    } catch (error) {
      await showErrorMessage("The lesson could not be begun anew", error);
    }
  }

  // --- the home page -----------------------------------------------------------------------------------------------

  // Whoever comes back to the home page sees what has been done meanwhile; its cards lead to the lessons.
  function makeHomeKeeper(desk) {
    const watched = new WeakSet();
    return async widget => {
      if (widget?.context?.path !== HOME) return;
      await widget.context.ready;
      if (!watched.has(widget)) {
        watched.add(widget);
        const look = () => void desk.reading.linkCards(widget.node);
        new MutationObserver(look).observe(widget.node, { childList: true, subtree: true });
        look();
      }
      if (!hasDesk(desk) || widget.context.model.dirty) return;
      await ask(desk, "home", {});
      await widget.context.revert();
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB.labkit = {
    init: shareScope => { scope = shareScope; },
    get: async () => {
      const plugin = await makePlugin();
      return () => ({ __esModule: true, default: plugin });
    },
  };
})();
