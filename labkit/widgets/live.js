// Draws what the kernel sends, at most once a frame, and keeps what the reader has opened, scrolled and focused.

function keyed(root) {
  return [...root.querySelectorAll("details")].map((one, number) => [one.dataset.key ?? String(number), one]);
}

function redraw(root, html) {
  const open = new Map(keyed(root).filter(([, one]) => one.open)
    .map(([key, one]) => [key, one.querySelector("pre")?.scrollTop ?? 0]));
  const [focused] = keyed(root).find(([, one]) => one.contains(document.activeElement)) ?? [];
  const inPane = document.activeElement?.tagName === "PRE";
  root.innerHTML = html;
  for (const [key, one] of keyed(root)) {
    if (open.has(key)) {
      one.open = true;
      one.querySelector("pre")?.scrollTo(0, open.get(key));
    }
    if (key === focused) one.querySelector(inPane ? "pre" : "summary").focus({ preventScroll: true });
  }
}

export default {
  render({ model, el }) {
    let frame = null;
    const draw = () => {
      frame = null;
      redraw(el, model.get("html"));
    };
    model.on("change:html", () => { frame ??= requestAnimationFrame(draw); });
    // The kernel was restarted or shut down: nobody else is left to say so.
    model.on("comm_live_update", () => {
      const state = el.querySelector("[data-state=live]");
      if (state) state.textContent = "stopped: the kernel has gone";
    });
    draw();
    return () => cancelAnimationFrame(frame);
  },
};
