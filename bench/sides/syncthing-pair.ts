/**
 * Syncthing as a peer of the `files` bench, at its fastest: the shortest watcher delay it takes, no lowered priority, no
 * room kept free. It knows one other device at a static address in the lab; discovery, relays, NAT, reports and upgrades
 * are off. Its own API, on a socket in its home, says when it is connected and idle; figures are read off the files.
 */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Lab } from '../../test/support/netns.ts'
import { until } from '../../test/support/skein.ts'
import { end, pidsOf, tailOf, type FolderPair, type FolderPeer, type PairPlace } from './folder-pairs.ts'
import { listTree } from './trees.ts'

export const syncthing: FolderPeer = { name: 'syncthing', start: startSyncthing }

const linkMs = 90_000
const idleMs = 600_000
/** The longest first start and key generation seen, on a machine with other work, took a few seconds. */
const generateMs = 60_000

interface Side {
  readonly host: number
  readonly home: string
  readonly folder: string
  readonly id: string
  process: ChildProcess
}

async function startSyncthing({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const homes = [join(state, 'near'), join(state, 'far')]
  const ids = homes.map(makeIdentity)
  const sides = [near, far].map((folder, host): Side => {
    const home = homes[host] ?? ''
    writeFileSync(join(home, 'config.xml'), configuration(lab, ids, host, home))
    return { host, home, folder, id: ids[host] ?? '', process: launch(lab, host, home) }
  })
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => void (await Promise.all(sides.map((side) => end(side.process)))))
  await linked(sides)
  const owned = stack.move()
  return {
    near,
    far,
    async join() {
      const counts = sides.map((side) => listTree(side.folder).size)
      for (const side of sides) await takeUp(side, ids)
      await idle(sides, Math.max(...counts))
    },
    async restart(whileDown) {
      await Promise.all(sides.map((side) => end(side.process)))
      whileDown()
      for (const side of sides) side.process = launch(lab, side.host, side.home)
    },
    charged: () => ({ near: sides.slice(0, 1).flatMap(pidsOfSide), far: sides.slice(1).flatMap(pidsOfSide) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

// The program proper is a child of its own watchdog
const pidsOfSide = (side: Side): readonly number[] => pidsOf(side.process)

/** @returns the device id. */
function makeIdentity(home: string): string {
  const run = (...args: readonly string[]): string =>
    execFileSync('syncthing', args, { encoding: 'utf8', timeout: generateMs, stdio: 'pipe' })
  run('generate', `--home=${home}`, '--no-default-folder')
  return run(`--home=${home}`, '--device-id').trim()
}

const logOf = (home: string): string => join(home, 'bench.log')

function launch(lab: Lab, host: number, home: string): ChildProcess {
  const log = openSync(logOf(home), 'a')
  try {
    return lab.spawn(
      host,
      'syncthing',
      ['serve', `--home=${home}`, '--no-browser', '--no-restart', '--logfile=-'],
      { stdio: ['ignore', log, log], env: { ...process.env, STNOUPGRADE: '1', HOME: home } },
    )
  } finally {
    closeSync(log)
  }
}

/** Both say that they are connected with the other. @throws with the end of their logs. */
async function linked(sides: readonly Side[]): Promise<void> {
  const isLinked = async (side: Side): Promise<boolean> => {
    if (side.process.exitCode !== null) throw new Error(`it ended with ${side.process.exitCode}`)
    const answer = await askIfUp(side, '/rest/system/connections')
    const { connections = {} } = (answer ?? {}) as { connections?: Record<string, { connected: boolean }> } // because: documented
    return Object.values(connections).some(({ connected }) => connected)
  }
  try {
    for (const side of sides) await until('the link', () => isLinked(side), linkMs)
  } catch (error) {
    const logs = sides.map((side) => `${side.home}:\n${tailOf(logOf(side.home))}`)
    throw new Error(`syncthing did not link\n${logs.join('\n')}`, { cause: error })
  }
}

/** Before 2.0 its watcher takes whole seconds alone. */
async function takeUp(side: Side, ids: readonly string[]): Promise<void> {
  const put = (watcherDelayS: number): Promise<unknown> =>
    ask(side, 'PUT', '/rest/config/folders/bench', folderSettings(side, ids, watcherDelayS))
  try {
    await put(0.01)
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('fsWatcherDelayS'))) throw error
    await put(1)
  }
}

interface FolderStatus {
  readonly state: string
  readonly localFiles: number
  readonly globalFiles: number
  readonly needTotalItems: number
}

/** Both have looked at all files, need nothing, and know that the other needs nothing. */
async function idle(sides: readonly Side[], files: number): Promise<void> {
  const isIdle = async (side: Side): Promise<boolean> => {
    const other = sides.find((candidate) => candidate !== side)
    const completion = await ask(side, 'GET', `/rest/db/completion?folder=bench&device=${other?.id}`)
    const { needItems, globalItems } = completion as { needItems: number; globalItems: number } // because: documented
    const status = (await ask(side, 'GET', '/rest/db/status?folder=bench')) as FolderStatus // because: documented
    const { state, localFiles, globalFiles, needTotalItems } = status
    return (
      needItems === 0 &&
      globalItems >= files &&
      state === 'idle' &&
      needTotalItems === 0 &&
      localFiles === globalFiles &&
      globalFiles >= files
    )
  }
  for (const side of [...sides, ...sides]) await until('syncthing to be idle', () => isIdle(side), idleMs)
}

/** @returns what it answers, nothing while its API is not up. */
async function askIfUp(side: Side, path: string): Promise<unknown> {
  try {
    return await ask(side, 'GET', path)
  } catch {
    return undefined // because: the caller asks again, and gives up after a while
  }
}

async function ask(side: Side, method: 'GET' | 'PUT', path: string, body?: unknown): Promise<unknown> {
  const socketPath = socketOf(side.home)
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const headers = { 'X-API-Key': 'bench', 'Content-Type': 'application/json' }
  const asked = request({ socketPath, method, path, headers, timeout: 30_000 }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => (text += chunk))
    response.on('error', reject)
    response.on('end', () => {
      if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode} ${text}`))
      else resolve(text === '' ? undefined : JSON.parse(text))
    })
  })
  asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer`)))
  asked.on('error', reject)
  asked.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}

const socketOf = (home: string): string => join(home, 'api.sock')

function folderSettings(side: Side, ids: readonly string[], fsWatcherDelayS: number): unknown {
  return {
    id: 'bench',
    label: 'bench',
    path: side.folder,
    type: 'sendreceive',
    devices: ids.map((deviceID) => ({ deviceID })),
    rescanIntervalS: 3600,
    fsWatcherEnabled: true,
    fsWatcherDelayS,
    minDiskFree: { value: 0, unit: '' },
  }
}

function configuration(lab: Lab, ids: readonly string[], host: number, home: string): string {
  const devices = ids.map(
    (id, index) =>
      `<device id="${id}" name="h${index}" compression="metadata"><address>tcp://${lab.addressOf(index)}:22000</address></device>`,
  )
  return `<configuration version="35">
${devices.join('\n')}
<gui enabled="true" tls="false"><address>${socketOf(home)}</address><apikey>bench</apikey></gui>
<options><listenAddress>tcp://${lab.addressOf(host)}:22000</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
<startBrowser>false</startBrowser><reconnectionIntervalS>5</reconnectionIntervalS><setLowPriority>false</setLowPriority>
</options></configuration>`
}
