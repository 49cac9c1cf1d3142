/**
 * What runs on Node: the sandbox of this machine, and the tools that work in it.
 */
export * as BuiltinTools from "./layers/BuiltinTools.js"
export * as NodeSandbox from "./layers/NodeSandbox.js"
export * as SkillFolder from "./layers/SkillFolder.js"
