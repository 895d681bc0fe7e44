// A place that shows what an action has loaded, or why it failed.

import { failureOf } from "./api.js";
import { h, whileBusy } from "./dom.js";
import { t } from "./language.js";
import { problemText } from "./parts.js";

// loadingPlace returns a place, and run, which shows in it the nodes that an action returns, or the
// action's failure with a button to try again. Of two runs, the later one counts. plain has a
// sentence for some failures, by their code.
export function loadingPlace(id) {
  const node = h("div", { id, class: "panel", tabindex: "-1" });
  let runs = 0;
  async function run(action, plain = {}) {
    const mine = ++runs;
    const focused = node.contains(document.activeElement);
    node.replaceChildren(h("p", { class: "fine", role: "status" }, t("loading")));
    if (focused) node.focus();
    let result;
    try {
      result = await whileBusy(action);
    } catch (error) {
      const failure = failureOf(error);
      result = { nodes: failed(failure, plain[failure.code], () => run(action, plain)) };
    }
    if (mine !== runs) return;
    node.replaceChildren(...result.nodes.flat(Infinity).filter(Boolean));
    await result.after?.();
  }
  return { node, run };
}

function failed(failure, plain, again) {
  if (plain) return [h("p", { class: "note plain", role: "status" }, plain())];
  return [
    h("div", { class: "note bad", role: "alert" }, problemText(failure.problem)),
    failure.transient && h("button", { type: "button", onclick: again }, t("retry")),
  ];
}
