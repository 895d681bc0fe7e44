// Calls to the functions, and what can go wrong with one.

import { language, t } from "./language.js";

// patience is how long a call may take. Binding takes 20 seconds at most.
const patience = 30_000;

// Failure is a problem as the API tells it: title, detail, remedy, code, status, requestId.
export class Failure extends Error {
  constructor(problem, retryAfter = 0) {
    super(problem.code);
    this.problem = { ...problem, retryAfter };
  }

  get code() {
    return this.problem.code;
  }

  // missing says that this deployment doesn't have the function.
  get missing() {
    return this.code === "route_unknown";
  }

  // stale says that the binding isn't what the page showed.
  get stale() {
    return this.code === "conflict" || this.code === "precondition_failed";
  }

  // passing says that the same call may work in a while.
  get passing() {
    const { status } = this.problem;
    return !status || status === 401 || status === 429 || status >= 500;
  }
}

// own is a failure that the page itself found, by the name of its texts. The status is the reply's,
// if it has one that counts.
export function own(name, status) {
  return new Failure({
    code: name,
    status,
    title: t(`own.${name}.title`),
    detail: t(`own.${name}.detail`),
    remedy: t(`own.${name}.remedy`),
  });
}

// foreign is a refusal of a cloud's gateway, which doesn't know the API's form.
function foreign(status) {
  if (status === 401) return own("signed_out", status);
  if (status === 429 || status === 503) return own("busy", status);
  return own("no_sense");
}

// Api calls the functions for whoever is signed in.
export class Api {
  constructor(origin, signIn) {
    this.origin = origin;
    this.signIn = signIn;
  }

  // call returns the reply's body. A body is sent as JSON. If the sign-in is refused and can be
  // renewed without leaving the page, the call is made once more.
  async call(method, path, { body, headers = {} } = {}) {
    let reply = await this.#send(method, path, body, headers);
    if (reply.status === 401 && await this.signIn.renew()) {
      reply = await this.#send(method, path, body, headers);
    }
    let content;
    try {
      content = await reply.json();
    } catch {
      throw own("no_sense");
    }
    if (reply.ok) return content;
    if (!content.code) throw foreign(reply.status);
    throw new Failure(content, Number(reply.headers.get("Retry-After")) || 0);
  }

  async #send(method, path, body, headers) {
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
        signal: AbortSignal.timeout(patience),
      });
    } catch (error) {
      throw own(error.name === "TimeoutError" ? "no_answer" : "no_connection");
    }
  }

  get(path, headers) {
    return this.call("GET", path, { headers });
  }
}

// bindingPath is where an instance's bindings are, or one of them.
export function bindingPath({ region, id }, platform) {
  const all = `/v1/instances/${encodeURIComponent(region)}/${encodeURIComponent(id)}/bindings`;
  return platform ? `${all}/${encodeURIComponent(platform)}` : all;
}

// ifMatch is the header that lets a change through only if the binding is as it was shown.
export const ifMatch = (binding) => (binding?.etag ? { "If-Match": `"${binding.etag}"` } : {});
