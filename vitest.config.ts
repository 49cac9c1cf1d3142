import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { guest } from "./test/support/guest.js"
import { LongestFirst } from "./test/support/sequencer.js"

const source = (file: string) => fileURLToPath(new URL(`src/${file}.ts`, import.meta.url))

export default defineConfig({
  plugins: [guest],
  resolve: {
    alias: [
      { find: /^effect-baton$/, replacement: source("index") },
      { find: /^effect-baton\/(node|ai|history|schema|sql|sqlite|testing|virtual)$/, replacement: source("$1") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgresSetup.ts"],
    typecheck: { enabled: true, include: ["test/types/**/*.test-d.ts"], ignoreSourceErrors: true },
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    minWorkers: 1,
    maxWorkers: "100%",
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
