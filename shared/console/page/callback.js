// The callback parameters in the page's own address: the result of an authorization in the
// fragment, the issuer's response in the query. Both are removed from the address before anything
// else happens, so that they are in no history entry, bookmark or screenshot.
//
// The result of an authorization is kept in sessionStorage until the API has processed it, because
// the page may be left to sign in, and a person may reload it.

import { has } from "./language.js";
import { placeOf } from "./place.js";

const waiting = "bindery.pending";
const started = (id) => `bindery.authorization.${id}`;

// readCallback removes all parameters from the address. It returns the issuer's response, or null.
export function readCallback() {
  takeFragment();
  const query = new URLSearchParams(location.search);
  const answered = query.has("state") && (query.has("code") || query.has("error"));
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  return answered ? Object.fromEntries(query) : null;
}

// The forms of what a callback sends. A link by a stranger may hold anything in its place.
const forms = { authorization: /^[0-9a-f]{32}$/, confirmationCode: /^[0-9a-f]{64}$/ };

// problems are the problems that the page has texts for.
const problems = [
  "another_browser", "authorization_done", "authorization_expired", "authorization_unknown",
  "certificate_untrusted", "client_refused", "consent_refused", "cookies_blocked",
  "input_malformed", "internal", "not_a_personal_account", "permission_missing",
  "platform_error", "platform_not_configured", "platform_rate_limited", "platform_unknown",
  "platform_unreachable", "storage_unavailable", "token_rejected", "too_many_tokens",
  "user_blocked",
];

// takeFragment removes the fragment from the address unless it names a place, stores the result of an
// authorization that it holds, and returns whether it held one. It ignores a value that isn't of its
// form and a problem that the page has no texts for. A stored confirmation code is not replaced by a problem of the
// same authorization: a person who goes back returns from the platform a second time, which is
// refused, but the first result still counts.
export function takeFragment() {
  if (placeOf(location.hash)) return false;
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  const value = (name) => {
    const text = fragment.get(name) ?? "";
    return forms[name].test(text) ? text : "";
  };
  const problem = fragment.get("problem") ?? "";
  const end = {
    id: value("authorization"),
    confirmationCode: value("confirmationCode"),
    problem: problems.includes(problem) ? problem : "",
  };
  if (!end.problem && !(end.id && end.confirmationCode)) return false;
  const before = pending();
  if (end.problem && before?.confirmationCode && before.id === end.id) return true;
  sessionStorage.setItem(waiting, JSON.stringify(end));
  return true;
}

// pending returns the stored result: {id, confirmationCode, problem}, or null.
export const pending = () => stored(waiting);

// clearPending removes the stored result, and what this tab knows about its authorization.
export function clearPending() {
  const end = pending();
  if (end) sessionStorage.removeItem(started(end.id));
  sessionStorage.removeItem(waiting);
}

// rememberStart stores what this tab has started: {platform, instance}.
export function rememberStart(id, authorization) {
  sessionStorage.setItem(started(id), JSON.stringify(authorization));
}

// startedHere returns what this tab knows about an authorization, or null if another tab started
// it.
export const startedHere = (id) => stored(started(id));

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
