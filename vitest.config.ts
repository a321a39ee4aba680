/** Three test projects: `unit`, and real processes and networks as `system`, two files at a time, and `timed`, one. */
import { defineConfig } from 'vitest/config'
import { createClosingLine } from './scripts/closing-line.ts'

/** One for each core of the smallest machine that runs all tests; vitest itself would leave one core idle. */
const workers = 2

/** A peer under test takes no part in the desktop of whoever runs the tests. */
const env = { DISPLAY: '', WAYLAND_DISPLAY: '' }

/**
 * Real disks, and five real peers on two cores with whatever else runs: a second look before a failure counts. What needed
 * one is named at the end of the run (scripts/closing-line.ts), and looked into.
 */
const retry = 1

/** Real processes and networks. */
const system = {
  env,
  include: ['test/system/**/*.test.ts'],
  testTimeout: 180_000,
  hookTimeout: 60_000,
  retry,
}

const timed = ['bad-clock', 'discovery', 'mesh-*', 'netns', 'rotation-away', 'strangers'].map(
  (name) => `test/system/${name}.test.ts`,
)

export default defineConfig({
  test: {
    reporters: ['default', createClosingLine()],
    passWithNoTests: true,
    projects: [
      {
        test: {
          name: 'unit',
          env,
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**'],
          maxWorkers: workers,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          retry,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: { ...system, name: 'system', exclude: timed, maxWorkers: workers, sequence: { groupOrder: 1 } },
      },
      // These ask when something happens: nothing of ours runs beside them
      {
        test: {
          ...system,
          name: 'timed',
          include: timed,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
