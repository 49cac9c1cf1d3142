/**
 * All faults, room by room. Each names the tests that should catch it, the narrowest that do; those of the lock are
 * caught by its laws.
 */
import { durable } from "./durable.mjs"
import { engine } from "./engine.mjs"
import { histories } from "./history.mjs"
import { kernel } from "./kernel.mjs"
import { limits } from "./limits.mjs"
import { loop } from "./loop.mjs"
import { policies } from "./policies.mjs"
import { toolValues } from "./toolValues.mjs"
import { sandbox } from "./sandbox.mjs"
import { tools } from "./tools.mjs"
import { tree } from "./tree.mjs"
import { virtuals } from "./virtual.mjs"
import { workspaces } from "./workspace.mjs"

export const mutants = [
  ...kernel.map((mutant) => ({ ...mutant, tests: ["test/laws"] })),
  ...limits,
  ...loop,
  ...policies,
  ...engine,
  ...durable,
  ...toolValues,
  ...sandbox,
  ...tools,
  ...workspaces,
  ...tree,
  ...histories,
  ...virtuals
]
