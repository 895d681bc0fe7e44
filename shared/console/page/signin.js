// Signing in. The access token is only in this page's memory, so a reload signs in again: at the
// laptop's /dev/token, or through the issuer, which usually asks nothing.

import { pageFailure } from "./api.js";
import { pending } from "./callback.js";
import { navigate } from "./dom.js";

// openSignIn returns the kind of sign-in that the configuration names.
export function openSignIn(config) {
  if (config.signIn.kind === "dev") return new DevSignIn(config.publicUrl);
  return new OidcSignIn(config.signIn);
}

// DevSignIn signs in as any user that the person names, on a laptop.
class DevSignIn {
  dev = true;
  token = "";
  failed = false;

  constructor(origin) {
    this.origin = origin;
    this.user = load("user") ?? "alice";
    this.account = load("account") ?? "acme";
  }

  // begin returns whether a user is signed in.
  begin() {
    return this.renew();
  }

  switchUser(user, account) {
    this.user = save("user", user);
    this.account = save("account", account);
    return this.renew();
  }

  // renew gets a token for the current user. A token that arrives after the user was switched
  // is dropped.
  async renew() {
    const { user, account } = this;
    const query = new URLSearchParams({ user, account });
    let token = "";
    try {
      const reply = await fetch(`${this.origin}/dev/token?${query}`, { cache: "no-store" });
      if (reply.ok) token = (await reply.text()).trim();
    } catch {
      // The missing token shows the failure.
    }
    if (user === this.user && account === this.account) this.token = token;
    this.failed = !this.token;
    return !this.failed;
  }

  // ensureFresh renews the token before an action that must not be interrupted. Here renewing
  // interrupts nothing.
  async ensureFresh() {}
}

// The tab remembers its user; a new tab starts with the last one.
const load = (name) =>
  sessionStorage.getItem(`bindery.${name}`) ?? localStorage.getItem(`bindery.${name}`);

function save(name, value) {
  sessionStorage.setItem(`bindery.${name}`, value);
  localStorage.setItem(`bindery.${name}`, value);
  return value;
}

const attempt = "bindery.signin";
const before = "bindery.signedin";

// OidcSignIn uses an authorization code with PKCE (RFC 7636) at the issuer, as a public client.
class OidcSignIn {
  dev = false;
  token = "";
  user = "";
  account = "";
  failed = false; // the issuer has responded, and no user is signed in
  #life = Infinity; // of the token, in milliseconds
  #ends = Infinity;

  constructor(settings) {
    this.settings = settings;
    this.redirect = `${location.origin}/`;
  }

  // begin processes the issuer's response if this tab has asked for it. If there is none and
  // this tab was signed in before, or has an authorization to finish, it asks the issuer
  // without a dialog. It returns whether a user is signed in.
  async begin(answer) {
    if (answer && sessionStorage.getItem(attempt)) return this.#redeem(answer);
    if (sessionStorage.getItem(before) || pending()) return this.go("none");
    return false;
  }

  // go navigates to the issuer. The prompt "none" asks for no dialog there, "login" for one.
  async go(prompt) {
    const { authorization_endpoint: endpoint } = await this.#discover();
    const state = random();
    const verifier = random();
    sessionStorage.setItem(attempt, JSON.stringify({ state, verifier }));
    const address = new URL(endpoint);
    const query = {
      response_type: "code",
      client_id: this.settings.clientId,
      redirect_uri: this.redirect,
      scope: this.settings.scope,
      state,
      code_challenge: await challenge(verifier),
      code_challenge_method: "S256",
      ...(this.settings.audience && { audience: this.settings.audience }),
      ...(prompt && { prompt }),
    };
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    return navigate(address.href);
  }

  async #redeem(answer) {
    const { state, verifier } = JSON.parse(sessionStorage.getItem(attempt));
    sessionStorage.removeItem(attempt);
    sessionStorage.removeItem(before);
    // RFC 9207: a response that names another issuer comes from another issuer.
    const otherIssuer = answer.iss && answer.iss !== this.settings.issuer;
    if (answer.state !== state || otherIssuer || !answer.code) {
      this.failed = !needsInteraction(answer.error);
      return false;
    }
    const { token_endpoint: endpoint } = await this.#discover();
    const reply = await fetch(endpoint, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: this.settings.clientId,
        redirect_uri: this.redirect,
        code: answer.code,
        code_verifier: verifier,
      }),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    const tokens = await reply.json();
    this.failed = !reply.ok || !tokens.access_token;
    if (this.failed) return false;
    this.#take(tokens);
    return true;
  }

  #take(tokens) {
    this.token = tokens.access_token;
    if (tokens.expires_in > 0) this.#life = tokens.expires_in * 1000;
    this.#ends = Date.now() + this.#life;
    // Only for display: the functions verify the token themselves.
    const access = claims(tokens.access_token);
    const one = { ...access, ...claims(tokens.id_token) };
    this.user = one.name ?? one.preferred_username ?? one.email ?? one.sub ?? "";
    this.account = typeof access.account === "string" ? access.account : "";
    sessionStorage.setItem(before, "yes");
  }

  async #discover() {
    const base = this.settings.issuer.replace(/\/$/, "");
    const reply = await fetch(`${base}/.well-known/openid-configuration`, { credentials: "omit" });
    const found = await reply.json();
    if (found.issuer !== this.settings.issuer) throw new Error("another issuer answers");
    return found;
  }

  // renew is impossible without leaving the page, which would lose what was typed.
  async renew() {
    return false;
  }

  // ensureFresh navigates to the issuer if the token expires soon: within the given seconds,
  // which are limited to half of its lifetime.
  async ensureFresh(seconds) {
    const soon = Math.min(seconds * 1000, this.#life / 2);
    if (Date.now() + soon <= this.#ends) return;
    await this.go("none").catch((error) => {
      console.error(error);
      throw pageFailure("no_issuer");
    });
  }
}

// needsInteraction reports whether the issuer only needs to ask the person, which is not a failure.
const needsInteraction = (error) =>
  ["login_required", "interaction_required", "consent_required", "account_selection_required"]
    .includes(error);

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(hash));
}

export const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// claims returns a JWT's claims, unverified; {} if it isn't a JWT.
function claims(jwt) {
  try {
    const part = jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}
