// An OpenID provider on a port: node openid.mjs PORT KEYS [rotate]
//
// Its private keys are kept in the file KEYS, the newest first; `rotate` makes a new one. Tokens are signed with the newest.
// Clients are users here: anna of the organization acme, bela of globex, and eve of none; their secret is their name.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const [port, file, rotate] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const users = {
  anna: { org: "acme", teams: ["board"] },
  bela: { org: "globex", teams: [] },
  eve: { teams: ["board"] },
};

const keys = existsSync(file) ? JSON.parse(readFileSync(file)) : [];
if (!keys.length || rotate) {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  keys.unshift({ ...(await exportJWK(privateKey)), kid: `key-${keys.length + 1}`, use: "sig", alg: "ES256" });
  writeFileSync(file, JSON.stringify(keys));
}

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: Object.keys(users).map((name) => ({
    client_id: name,
    client_secret: name,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "read",
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  extraTokenClaims: (_, token) => users[token.clientId],
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
