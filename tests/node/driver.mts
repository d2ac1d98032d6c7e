// Does what each line of standard input says with the client of the example, and prints what came of it.

import { createInterface } from "node:readline";
import type { KyInstance } from "ky";
import * as example from "../../examples/clients/typescript/regional-client.ts";

let client: KyInstance;

async function done(what: any): Promise<unknown> {
  const { constants, create, discover, method, path, body, headers } = what;
  if (constants) return { ...example };
  if (create) {
    const { common, regions, ...options } = create;
    client = example.regionalClient(common ?? undefined, regions, options);
    return {};
  }
  if (discover) {
    client = await example.discover(discover, headers);
    return {};
  }
  const response = await client(path.slice(1), { method, body });
  return { status: response.status, region: response.headers.get("x-served-by-region") };
}

for await (const line of createInterface(process.stdin)) {
  let result;
  try {
    result = await done(JSON.parse(line));
  } catch (error: any) {
    result = { error: `${error}`, status: error.response?.status };
  }
  console.log(JSON.stringify(result));
}
// Connections that nobody has accepted yet would keep it for seconds.
process.exit();
