/** Fresh directories for tests, removed when the test ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** @returns an absolute path of an existing, empty directory. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
