// What a test asks of a page on which JupyterLab runs (with --expose-app-in-browser).
window.lab = {
  done: null, // of the last Run All: null while it runs, then "true", "false" or the error

  panel: () => jupyterapp.shell.currentWidget,
  ready: () => Promise.all([jupyterapp.restored, lab.panel().context.ready, lab.panel().sessionContext.ready]),
  cells: () => lab.panel().content.widgets,
  code: () => lab.cells().filter(cell => cell.model.type === "code"),

  startRunAll() {
    lab.done = null;
    jupyterapp.commands.execute("notebook:run-all-cells").then(
      result => { lab.done = String(result); },
      error => { lab.done = `error: ${error}`; });
  },

  startCell(number) {
    lab.panel().content.activeCellIndex = lab.cells().indexOf(lab.code()[number]);
    if (!jupyterapp.commands.isEnabled("notebook:run-cell")) throw new Error("JupyterLab would run nothing");
    jupyterapp.commands.execute("notebook:run-cell");
  },

  outputs: cell => cell.model.sharedModel.toJSON().outputs,

  textOf: number => lab.outputs(lab.code()[number])
    .map(output => output.text ?? output.evalue ?? output.data?.["text/plain"] ?? "").flat().join(""),

  textsOf: selector => lab.code().flatMap(cell => [...cell.outputArea.node.querySelectorAll(selector)])
    .map(node => node.textContent),

  state: () => ({
    kernel: lab.panel().sessionContext.session?.kernel?.status,
    cells: lab.code().map(cell => cell.model.executionCount),
    running: lab.code().map(cell => cell.model.executionState),
    errors: lab.code().flatMap(cell => lab.outputs(cell))
      .filter(output => output.output_type === "error").map(error => `${error.ename}: ${error.evalue}`),
  }),

  async evaluate(code) {
    const kernel = lab.panel().sessionContext.session.kernel;
    const reply = await kernel.requestExecute(
      { code: "", user_expressions: { value: code }, store_history: false, silent: true }).done;
    const value = reply.content.user_expressions.value;
    return value.data?.["text/plain"] ?? `${value.ename}: ${value.evalue}`;
  },

  cellsWith: selector => lab.cells()
    .map((cell, number) => cell.node.querySelector(`.jp-Cell-outputArea ${selector}`) ? number : -1)
    .filter(number => number >= 0),
};

// The contrast of every piece of visible text below an element against what lies under it, worst first:
// WCAG 2, relative luminance and contrast ratio.
lab.contrasts = root => {
  const parse = text => { // "rgb(26, 110, 60)", or of a mixture "color(srgb 0.1 0.4 0.2)"
    const [r, g, b, alpha = 1] = text.match(/[\d.]+/g).map(Number);
    return [...[r, g, b].map(v => (text.startsWith("color(srgb") ? v * 255 : v)), alpha];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = rgb => rgb.map(v => v / 255).map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const said = texts.currentNode.data.trim();
    if (!said || !element.checkVisibility()) continue;
    const below = ground(element);
    const [a, b] = [light(over(parse(getComputedStyle(element).color), below)), light(below)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), said.slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
};
