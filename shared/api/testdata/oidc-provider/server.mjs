// An OAuth server of another project (oidc-provider), with GitHub's paths, and a user who signs in and
// consents to every request. It reads the callback's address and the client's id and secret from the
// environment, and prints its origin.
import http from 'node:http';
import Provider, { interactionPolicy } from 'oidc-provider';

const { REDIRECT_URI, CLIENT_ID, CLIENT_SECRET, SCOPES = 'repo' } = process.env;
const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

const server = http.createServer((req, res) => answer(req, res));
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const origin = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(origin, {
  clients: [{
    client_id: CLIENT_ID,
    client_secret: CLIENT_SECRET,
    redirect_uris: [REDIRECT_URI],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  scopes: ['repo', 'gist'],
  pkce: { required: () => true },
  issueRefreshToken: () => true,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: { devInteractions: { enabled: false } },
  interactions: { policy, url: (ctx, interaction) => `/person/${interaction.uid}` },
  cookies: { keys: ['a key that signs nothing of worth'] },
  routes: { authorization: '/login/oauth/authorize', token: '/login/oauth/access_token' },
  ttl: { AccessToken: 8 * 3600, AuthorizationCode: 60, Grant: 86400, Interaction: 600,
    RefreshToken: 86400, Session: 86400 },
});

// The user consents to every request; the granted scopes are fixed.
async function person(req, res) {
  const { prompt: { name }, params, session } = await provider.interactionDetails(req, res);
  const result = {};
  if (name === 'consent') {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(SCOPES);
    grant.rejectOIDCScope(params.scope.split(' ').filter((s) => !SCOPES.includes(s)).join(' '));
    result.consent = { grantId: await grant.save() };
  } else {
    result[name] = {};
    result.login = { accountId: '583231' };
  }
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
}

// GitHub's GET /user.
async function user(req, res) {
  const value = (req.headers.authorization ?? '').replace(/^Bearer /, '');
  const token = value && await provider.AccessToken.find(value);
  res.setHeader('content-type', 'application/json');
  if (!token || token.isExpired) {
    res.writeHead(401).end(JSON.stringify({ message: 'Bad credentials' }));
    return;
  }
  res.setHeader('x-oauth-scopes', token.scope ?? '');
  res.end(JSON.stringify({ id: Number(token.accountId), login: 'octocat', type: 'User' }));
}

// GitHub's DELETE /applications/{client}/token.
async function revoke(req, res) {
  let body = '';
  for await (const chunk of req) body += chunk;
  const token = await provider.AccessToken.find(JSON.parse(body).access_token);
  await token?.destroy();
  res.writeHead(token ? 204 : 404).end();
}

async function answer(req, res) {
  try {
    if (req.url.startsWith('/person/')) return await person(req, res);
    if (req.url === '/user') return await user(req, res);
    if (req.url.startsWith('/applications/')) return await revoke(req, res);
    return await provider.callback()(req, res);
  } catch (problem) {
    res.writeHead(500).end(problem.name);
  }
}

console.log(origin);
process.stdin.on('end', () => process.exit()).resume(); // ends with the process that started it
