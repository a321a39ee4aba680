/** While a large file is written the disk takes what is there already: else all of it is waited for at the end. */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import type { Filesystem } from './filesystem.ts'

const syncEveryMs = 100

/** Until `work` has ended. @throws what syncing threw; whether the work failed is for its own promise to tell. */
export async function syncMeanwhile(
  env: Env,
  filesystem: Filesystem,
  path: string,
  work: Promise<unknown>,
): Promise<void> {
  let isOver = false
  const over = (): void => void (isOver = true)
  const ended = work.then(over, over)
  while (!isOver) {
    await Promise.race([ended, sleep(env.clock, syncEveryMs)])
    if (isOver || (await filesystem.lstat(path)) === undefined) continue
    await syncNow(filesystem, path)
  }
}

/** Through a handle of its own: whoever writes goes on. */
export async function syncNow(filesystem: Filesystem, path: string): Promise<void> {
  await using file = await filesystem.open(path, 'write')
  await file.sync()
}
