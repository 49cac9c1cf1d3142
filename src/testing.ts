/**
 * What tests of an agent are made of: any interleaving from a seed, what happened and what was written within reach,
 * and the laws that hold for every agent, tried on yours. Any test runner will do.
 */
export * as EventPairs from "./services/testing/EventPairs.js"
export * as Failpoints from "./layers/testing/Failpoints.js"
export * as Laws from "./layers/testing/Laws.js"
export * as Messages from "./services/testing/Messages.js"
export * as Recorder from "./layers/testing/Recorder.js"
export * as SandboxContract from "./layers/testing/SandboxContract.js"
export * as Seeded from "./layers/testing/Seeded.js"
export * as StoreContract from "./layers/testing/StoreContract.js"
export * as StoreJournal from "./layers/testing/StoreJournal.js"
export * as TestEngine from "./layers/testing/TestEngine.js"
