// LibreChat's calls of its RAG API, as its server makes them (VectorDB/crud, fileSearch, createContextHandlers, parseText):
// with axios, form-data and a token of five minutes. Its server is not a package, so the calls are repeated here.
import axios from "axios";
import FormData from "form-data";
import { SignJWT } from "jose";

const [base, secret] = process.argv.slice(2);
const key = new TextEncoder().encode(secret);
const sign = (claims) =>
  new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setIssuedAt().setExpirationTime("5m").sign(key);
const authorized = async (user) => ({ Authorization: `Bearer ${await sign({ id: user })}`, accept: "application/json" });

async function upload(user, path, fields, name, text) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append("file", Buffer.from(text), { filename: name });
  const headers = { ...(await authorized(user)), ...form.getHeaders() };
  return (await axios.post(`${base}${path}`, form, { headers })).data;
}

async function search(user, body) {
  const headers = { ...(await authorized(user)), "Content-Type": "application/json" };
  const { data } = await axios.post(`${base}/query`, body, { headers });
  return data
    .map(([docInfo, distance]) => ({ file: docInfo.metadata.source.split("/").pop(), text: docInfo.page_content, distance }))
    .sort((a, b) => a.distance - b.distance)
    .map((each) => [each.file, each.text, 1.0 - each.distance > 0]);
}

const text = "how to copy a file, in LibreChat";
const found = { health: (await axios.get(`${base}/health`)).status };
found.embedded = await upload("ann", "/embed", { file_id: "f1", entity_id: "agent_1", storage_metadata: "{}" }, "a.txt", text);
found.text = (await upload("ann", "/text", { file_id: "f2" }, "b.md", "# A heading\n\nand text")).text;
found.agent = await search("bob", { file_id: "f1", query: "copy a file", k: 5, entity_id: "agent_1" });
found.other = await search("bob", { file_id: "f1", query: "copy a file", k: 4 });
found.context = (await axios.get(`${base}/documents/f1/context`, { headers: await authorized("ann") })).data;
const remove = async () =>
  axios.delete(`${base}/documents`, {
    headers: { ...(await authorized("ann")), "Content-Type": "application/json" },
    data: ["f1"],
    validateStatus: () => true,
  });
found.deleted = [(await remove()).status, (await remove()).status];
const session = { Authorization: `Bearer ${await sign({ id: "ann", username: "ann", provider: "local" })}` };
const refused = await axios.post(`${base}/query`, { file_id: "f1", query: "a" }, { headers: session, validateStatus: () => true });
found.session = refused.status;
console.log(JSON.stringify(found));
