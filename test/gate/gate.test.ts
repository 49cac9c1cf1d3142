/**
 * Bad input, whatever it is and wherever it comes in: see `ground.ts` for what must hold after each.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { table } from "./table.js"
import { plantGround } from "./sandbox.js"

let folder = ""
beforeAll(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "baton-gate-")))
  plantGround(folder)
})
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

for (const { name, rows } of table) {
  describe(name, () => {
    for (const row of rows) it.live(`${row.outcome} ${row.name}`, () => row.check(path.join(folder, "root")))
  })
}

it("is a table of at least 150 values, no two of one name", () => {
  const names = table.flatMap((sink) => sink.rows.map((row) => `${sink.name}: ${row.name}`))
  assert.isAtLeast(names.length, 150)
  assert.strictEqual(new Set(names).size, names.length)
})
