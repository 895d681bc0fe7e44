// Who is signed in. The access token lives in this page's memory and nowhere else, so a reload
// signs in again: at the laptop's /dev/token, or through the issuer, who mostly just nods.

import { pending } from "./arrival.js";
import { leaving } from "./dom.js";

// openSignIn makes the kind that the configuration names.
export function openSignIn(config) {
  if (config.signIn.kind === "dev") return new DevSignIn(config.publicUrl);
  return new OidcSignIn(config.signIn);
}

// DevSignIn is anybody whom the person names, on a laptop.
class DevSignIn {
  dev = true;
  token = "";
  failed = false;

  constructor(origin) {
    this.origin = origin;
    this.user = kept("user") ?? "alice";
    this.account = kept("account") ?? "acme";
  }

  // begin says whether somebody is signed in.
  begin() {
    return this.renew();
  }

  become(user, account) {
    this.user = keep("user", user);
    this.account = keep("account", account);
    return this.renew();
  }

  // renew gets a token for whoever it is now. One that comes too late, for somebody else, is not
  // taken.
  async renew() {
    const { user, account } = this;
    const query = new URLSearchParams({ user, account });
    let token = "";
    try {
      const reply = await fetch(`${this.origin}/dev/token?${query}`, { cache: "no-store" });
      if (reply.ok) token = (await reply.text()).trim();
    } catch {
      // No token says it all.
    }
    if (user === this.user && account === this.account) this.token = token;
    this.failed = !this.token;
    return !this.failed;
  }

  // fresh is for what must not be interrupted: here, renewing interrupts nothing.
  async fresh() {}
}

// The tab remembers who somebody was; a new tab begins as the one who was last.
const kept = (name) =>
  sessionStorage.getItem(`bindery.${name}`) ?? localStorage.getItem(`bindery.${name}`);

function keep(name, value) {
  sessionStorage.setItem(`bindery.${name}`, value);
  localStorage.setItem(`bindery.${name}`, value);
  return value;
}

const attempt = "bindery.signin";
const before = "bindery.signedin";

// OidcSignIn is an authorization code with PKCE (RFC 7636) at the issuer, as a public client.
class OidcSignIn {
  dev = false;
  token = "";
  user = "";
  account = "";
  failed = false; // the issuer has answered, and nobody is signed in
  #life = Infinity; // of the token, in milliseconds
  #ends = Infinity;

  constructor(settings) {
    this.settings = settings;
    this.redirect = `${location.origin}/`;
  }

  // begin takes the issuer's answer if this tab has asked. If there is none and this tab was
  // signed in before, or has an authorization to end, it asks the issuer without a word to the
  // person. It says whether somebody is signed in.
  async begin(answer) {
    if (answer && sessionStorage.getItem(attempt)) return this.#redeem(answer);
    if (sessionStorage.getItem(before) || pending()) return this.go("none");
    return false;
  }

  // go leaves for the issuer. The prompt "none" asks for no dialog there, "login" for one.
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
    return leaving(address.href);
  }

  async #redeem(answer) {
    const { state, verifier } = JSON.parse(sessionStorage.getItem(attempt));
    sessionStorage.removeItem(attempt);
    sessionStorage.removeItem(before);
    // RFC 9207: an answer that names another issuer is another issuer's.
    const foreign = answer.iss && answer.iss !== this.settings.issuer;
    if (answer.state !== state || foreign || !answer.code) {
      this.failed = !silent(answer.error);
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
    // Only shown to the person: the functions verify for themselves.
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

  // renew can't be done without leaving the page, which would lose what was typed.
  async renew() {
    return false;
  }

  // fresh leaves to sign in again if the token ends soon: within the given seconds, which are at
  // most half of its life.
  async fresh(seconds) {
    const soon = Math.min(seconds * 1000, this.#life / 2);
    if (Date.now() + soon > this.#ends) await this.go("none");
  }
}

// silent says that the issuer only wants to talk to the person, which is no failure.
const silent = (error) =>
  ["login_required", "interaction_required", "consent_required", "account_selection_required"]
    .includes(error);

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(hash));
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// claims are a JWT's, unverified; {} if it is none.
function claims(jwt) {
  try {
    const part = jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}
