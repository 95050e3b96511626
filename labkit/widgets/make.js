// What several scripts of the page begin with: see labkit/widgets/script.py.

// Make an element at the end of another.
function make(tag, parent, attributes = {}, text = "") {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.dataset.lmSuppressShortcuts = true; // a key that is pressed here is neither JupyterLab's nor the notebook's
  one.textContent = text;
  parent.append(one);
  return one;
}
