/**
 * A vitest reporter that ends a run with one line, `N passed, N failed` (`, N skipped` when some were), alone on
 * its line, for a machine to read. What breaks outside a test (a file that does not load, an unhandled error)
 * counts as failed. While tests run it keeps a progress file, so whoever has to stop the run can say what ran.
 */
import { writeFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** What the progress file holds, as JSON. */
export interface Progress {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Test files and tests that began and have not ended, as a person reads them. */
  readonly running: readonly string[]
}

/** The environment variable that names the progress file; without it none is written. */
export const progressFileVariable = 'SKEIN_TEST_PROGRESS_FILE'

/** @returns a reporter to be listed after the others, so that its line comes last. */
export function createClosingLine(print: (line: string) => void = console.log): Reporter {
  const file = process.env[progressFileVariable]
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const running = new Map<string, string>()
  const save = (): void => {
    if (file === undefined) return
    writeFileSync(file, JSON.stringify({ ...counts, running: [...running.values()] } satisfies Progress))
  }
  const begin = (item: TestCase | TestModule): void => {
    running.set(item.id, nameOf(item))
    save()
  }
  return {
    onTestModuleQueued: begin,
    onTestModuleEnd(module) {
      running.delete(module.id)
      save()
    },
    onTestCaseReady: begin,
    onTestCaseResult(test) {
      const { state } = test.result()
      if (state !== 'pending') counts[state]++
      running.delete(test.id)
      save()
    },
    onTestRunEnd(modules, unhandledErrors) {
      for (const line of secondTries(modules)) print(line)
      print(closingLine(countRun(modules, unhandledErrors.length)))
    },
  }
}

/** @returns the closing line of a run. */
export function closingLine(counts: Pick<Progress, 'passed' | 'failed' | 'skipped'>): string {
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`
}

/** What passed only when it was tried again: a finding, though not a failure. */
function secondTries(modules: readonly TestModule[]): readonly string[] {
  return modules.flatMap((module) =>
    [...module.children.allTests()].flatMap((test) =>
      test.diagnostic()?.flaky === true ? [`passed at the second try: ${nameOf(test)}`] : [],
    ),
  )
}

function countRun(modules: readonly TestModule[], unhandledErrors: number): Omit<Progress, 'running'> {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 }
  for (const module of modules) {
    let failedTests = 0
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') counts.passed++
      else if (state === 'skipped') counts.skipped++
      // A test still pending at the end never gave its result: it did not pass.
      else failedTests++
    }
    // A file or a hook that broke before its tests ran has no failed test to count.
    if (failedTests === 0 && module.state() === 'failed') failedTests = 1
    counts.failed += failedTests
  }
  return counts
}

function nameOf(item: TestCase | TestModule): string {
  return item.type === 'module' ? item.relativeModuleId : `${item.module.relativeModuleId} > ${item.fullName}`
}
