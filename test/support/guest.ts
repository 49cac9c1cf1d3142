/**
 * The thread of a virtual sandbox, where it runs from the sources. It is made one file: hooks that load it as it is would
 * be started again in every such thread, and slow every import of every test.
 */
import { pathToFileURL } from "node:url"
import type { Plugin } from "vitest/config"
import { bundle } from "./bundle.js"

const thread = "/src/layers/virtual/Thread.ts"
const named = 'new URL("./guest.js", import.meta.url)'

export const guest: Plugin = {
  name: "guest",
  async transform(code, id) {
    if (!id.endsWith(thread)) return
    if (!code.includes(named)) throw new Error(`${thread} names its thread in another way`)
    const { file, inputs } = await bundle("src/layers/virtual/guest.ts")
    for (const input of inputs) this.addWatchFile(input)
    return code.replace(named, `new URL(${JSON.stringify(pathToFileURL(file).href)})`)
  }
}
