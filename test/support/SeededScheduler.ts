export { run as runSeeded, SeededScheduler } from "../../src/layers/testing/Seeded.js"
