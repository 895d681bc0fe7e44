// Calls to the functions, and their failures.

import { language, t } from "./language.js";

// callTimeout is how long a call may take. A bind takes 20 seconds at most.
const callTimeout = 30_000;

// Failure is a problem in the API's form: title, detail, remedy, code, status, requestId.
export class Failure extends Error {
  constructor(problem, retryAfter = 0) {
    super(problem.code);
    this.problem = { ...problem, retryAfter };
  }

  get code() {
    return this.problem.code;
  }

  // missing reports whether this deployment lacks the function.
  get missing() {
    return this.code === "route_unknown";
  }

  // stale reports whether the binding differs from what the page showed.
  get stale() {
    return this.code === "conflict" || this.code === "precondition_failed";
  }

  // transient reports whether the same call may succeed later.
  get transient() {
    const { status } = this.problem;
    return !status || status === 401 || status === 429 || status >= 500;
  }
}

// pageFailure returns a failure that the page itself found, by the name of its texts. status is the
// reply's status if it matters.
export function pageFailure(name, status) {
  return new Failure({
    code: name,
    status,
    title: t(`own.${name}.title`),
    detail: t(`own.${name}.detail`),
    remedy: t(`own.${name}.remedy`),
  });
}

// failureOf returns the failure that was thrown. Any other error is a fault of the page, which is
// logged.
export function failureOf(error) {
  if (error instanceof Failure) return error;
  console.error(error);
  return pageFailure("unexpected");
}

// gatewayFailure returns the failure for a refusal by a cloud's gateway, which doesn't use the
// API's form.
function gatewayFailure(status) {
  if (status === 401) return pageFailure("signed_out", status);
  if (status === 429 || status === 503) return pageFailure("busy", status);
  return pageFailure("no_sense");
}

async function parsed(reply) {
  try {
    return await reply.json();
  } catch {
    throw pageFailure("no_sense");
  }
}

// Api calls the functions for the signed-in user.
export class Api {
  #early = new Map(); // replies by their paths

  constructor(origin, signIn) {
    this.origin = origin;
    this.signIn = signIn;
  }

  // call returns the reply's body. A body is sent as JSON. The signal ends the call early.
  async call(method, path, { body, headers, signal } = {}) {
    return parsed(await this.#reply(method, path, body, headers, signal));
  }

  // text returns a text as it is, or null if the reply is no text.
  async text(path) {
    const reply = await this.#reply("GET", path);
    if (!reply.headers.get("Content-Type")?.startsWith("text/plain")) return null;
    try {
      return await reply.text();
    } catch {
      throw pageFailure("no_answer");
    }
  }

  // #reply returns a reply that is no failure. If the sign-in is refused and can be renewed
  // without leaving the page, the call is repeated once.
  async #reply(method, path, body, headers = {}, signal = null) {
    let reply = await this.#send(method, path, body, headers, signal);
    if (reply.status === 401 && await this.signIn.renew()) {
      reply = await this.#send(method, path, body, headers, signal);
    }
    if (reply.ok) return reply;
    const content = await parsed(reply);
    if (!content.code) throw gatewayFailure(reply.status);
    throw new Failure(content, Number(reply.headers.get("Retry-After")) || 0);
  }

  async #send(method, path, body, headers, signal) {
    try {
      return await fetch(this.origin + path, {
        method,
        headers: {
          Accept: "application/json",
          "Accept-Language": language(),
          Authorization: `Bearer ${this.signIn.token}`,
          ...(body && { "Content-Type": "application/json" }),
          ...headers,
        },
        body: body && JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        signal: AbortSignal.any([AbortSignal.timeout(callTimeout), signal].filter(Boolean)),
      });
    } catch (error) {
      if (signal?.aborted) throw new Failure({ code: "stopped" });
      throw pageFailure(error.name === "TimeoutError" ? "no_answer" : "no_connection");
    }
  }

  // get returns a reply's body: that of a call that was made ahead, or else of one that it makes.
  get(path, headers) {
    const early = this.#early.get(path);
    this.#early.delete(path);
    return early ?? this.call("GET", path, { headers });
  }

  // ahead makes calls whose replies the next get of each path returns, until settle. One that has failed
  // by then is made again: there may have been no texts yet to say why.
  ahead(...paths) {
    for (const path of paths) {
      const reply = this.call("GET", path);
      reply.catch(() => this.#early.delete(path));
      this.#early.set(path, reply);
    }
  }

  // settle drops the replies that the first view did not need, because they become old.
  settle() {
    this.#early.clear();
  }

  // instances returns all pages of the list.
  async instances() {
    const all = [];
    for (let query = ""; query !== null;) {
      const { instances, cursor } = await this.get("/v1/instances" + query);
      all.push(...instances);
      query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : null;
    }
    return all;
  }
}

// bindingPath returns the path of an instance's bindings, or of one of them.
export function bindingPath({ region, id }, platform) {
  const all = `/v1/instances/${encodeURIComponent(region)}/${encodeURIComponent(id)}/bindings`;
  return platform ? `${all}/${encodeURIComponent(platform)}` : all;
}

// ifUnchanged returns the header that permits a change only if the binding is still as it was shown:
// this one, or none.
export const ifUnchanged = (binding) =>
  (binding?.etag ? { "If-Match": `"${binding.etag}"` } : { "If-None-Match": "*" });
