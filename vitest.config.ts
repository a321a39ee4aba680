/** Two test projects: `unit` in parallel, then `system` (real processes and networks) one file at a time. */
import { defineConfig } from 'vitest/config'
import { createClosingLine } from './scripts/closing-line.ts'

/** A peer under test takes no part in the desktop of whoever runs the tests. */
const env = { DISPLAY: '', WAYLAND_DISPLAY: '' }

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
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'system',
          env,
          include: ['test/system/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          // Five real peers share two cores with whatever else runs: a second look, shown in the report, before it counts
          retry: 1,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
