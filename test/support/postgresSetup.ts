/**
 * One server for a run of the tests, started when the first test asks for it and gone when the run ends.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import type { TestProject } from "vitest/node"
import { type Server, start } from "./postgresServer.js"

declare module "vitest" {
  export interface ProvidedContext {
    /** The socket that tells where the server is. */
    readonly postgres: string
  }
}

/** What a test is told. */
export type Told = { readonly host: string } | { readonly reasons: ReadonlyArray<string> }

export default (project: TestProject) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "baton-pg-ask-"))
  const socket = path.join(folder, "socket")
  let started: ReturnType<typeof start> | undefined
  const broker = net.createServer((asking) => {
    started ??= start()
    void started.then((it) => {
      if ("reasons" in it) console.warn(`\nNO POSTGRES: its tests are SKIPPED. ${it.reasons.join("; ")}\n`)
      const told: Told = "host" in it ? { host: it.host } : it
      asking.end(JSON.stringify(told))
    })
  })
  broker.listen(socket)
  project.provide("postgres", socket)
  return async () => {
    broker.close()
    const server: Server | undefined = await started?.then((it) => ("stop" in it ? it : undefined))
    await server?.stop()
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
