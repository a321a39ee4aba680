/** Whose browser asks: as Linux tells it, and what that is good for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { findOwner } from '../../src/console/socket-owner.ts'
import { createConsoleRig } from '../support/console-rig.ts'

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0
   3: 0A00000A:D432 0100000A:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 4 1 0
   4: 0000000000000000FFFF00000100007F:D433 0000000000000000FFFF00000100007F:1F90 01 0:0 00:0 0  1003        0 5 1 0
   5: 00000000000000000000000001000000:D434 00000000000000000000000001000000:1F90 01 0:0 00:0 0  1004        0 6 1 0
`

test("the browser's end of a connection says who it is, not the console's own, and nothing but loopback counts", () => {
  expect(findOwner(table, 0xd431, 0x1f90)).toBe(1001)
  expect(findOwner(table, 0xd433, 0x1f90)).toBe(1003)
  expect(findOwner(table, 0xd434, 0x1f90)).toBe(1004)
  expect(findOwner(table, 0xd432, 0x1f90)).toBeUndefined()
  expect(findOwner(table, 0xd435, 0x1f90)).toBeUndefined()
  expect(findOwner('', 1, 2)).toBeUndefined()
})

const isRoot = process.platform === 'linux' && process.getuid?.() === 0

test.runIf(isRoot)(
  'a link that a browser was started with is good for its own user alone, and not used up by others',
  async () => {
    const rig = await createConsoleRig({})
    const script = `fetch(process.argv[1] + '/api/v1/session', { method: 'POST', headers: { origin: process.argv[1],
    'content-type': 'application/json' }, body: JSON.stringify({ token: process.argv[2] }) })
    .then((response) => process.exit(response.status === 200 ? 0 : 1), () => process.exit(2))`
    const redeemAs = async (uid: number, url: string): Promise<unknown> => {
      const { origin, hash } = new URL(url)
      const child = spawn(process.execPath, ['-e', script, origin, hash.replace('#launch=', '')], {
        uid,
        gid: uid,
      })
      const [code]: unknown[] = await once(child, 'exit')
      return code
    }
    const own = rig.host.open(true).url
    expect(await redeemAs(65_534, own)).toBe(1)
    expect(await redeemAs(0, own)).toBe(0)
    const shown = rig.host.open().url
    expect(await redeemAs(65_534, shown)).toBe(0)
  },
)
