/**
 * Random programs under random interleavings: whatever they do, the laws of the lock hold.
 */
import { it } from "@effect/vitest"
import { check } from "./support/interpret.js"
import { cases } from "./support/program.js"
import { forAll, runs, timeout } from "./support/property.js"

it.effect("L1-L12 random programs under a seeded scheduler", () => forAll(cases, runs, check), timeout)
