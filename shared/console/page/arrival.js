// What the page's own address brings: the end of an authorization in the fragment, the issuer's
// answer in the query. Both are taken out of the address before anything else happens, so that
// they reach no history entry, bookmark or screenshot.
//
// An authorization's end waits in sessionStorage until the API has answered for it, since signing
// in may leave the page in between and a person may reload it.

const waiting = "bindery.pending";
const started = (id) => `bindery.authorization.${id}`;

// arrive takes everything out of the address. It returns the issuer's answer, or null.
export function arrive() {
  takeFragment();
  const query = new URLSearchParams(location.search);
  const answered = query.has("state") && (query.has("code") || query.has("error"));
  if (location.search || location.hash) history.replaceState(null, "", location.pathname);
  return answered ? Object.fromEntries(query) : null;
}

// takeFragment keeps an authorization's end, and says whether there was one. The confirmation code that waits
// for an authorization outlives problems with it: whoever goes back comes from the platform a
// second time, and that is refused, but the first time still counts.
export function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const end = {
    id: fragment.get("authorization") ?? "",
    confirmationCode: fragment.get("confirmationCode") ?? "",
    problem: fragment.get("problem") ?? "",
  };
  if (!end.problem && !(end.id && end.confirmationCode)) return false;
  const before = pending();
  if (end.problem && before?.confirmationCode && before.id === end.id) return true;
  sessionStorage.setItem(waiting, JSON.stringify(end));
  return true;
}

// pending is the end that waits: {id, confirmationCode, problem}, or null.
export const pending = () => stored(waiting);

// settled forgets the end that waits, and what this tab knows of its authorization.
export function settled() {
  const end = pending();
  if (end) sessionStorage.removeItem(started(end.id));
  sessionStorage.removeItem(waiting);
}

// remember keeps what this tab has started: {platform, instance}.
export function remember(id, authorization) {
  sessionStorage.setItem(started(id), JSON.stringify(authorization));
}

// startedHere is what this tab knows of an authorization, or null if another one started it.
export const startedHere = (id) => stored(started(id));

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
