/**
 * The battery of this machine, as far as its system tells: /sys on Linux, pmset on macOS, CIM on Windows. Machines without
 * one, and systems that do not answer, have none.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Env } from '../base/env.ts'
import type { Scope } from '../base/scope.ts'

export interface Battery {
  /** 0..100. */
  readonly percent: number
  readonly isCharging: boolean
  /** Nothing comes in from outside. */
  readonly isOnBattery: boolean
}

const run = promisify(execFile)
const powerFolder = '/sys/class/power_supply'
const askOptions = { timeout: 5_000, windowsHide: true, maxBuffer: 64 * 1024 }

/** @param system as Node names it. */
export async function readBattery(system: NodeJS.Platform = process.platform): Promise<Battery | undefined> {
  try {
    if (system === 'linux') return await readLinux()
    if (system === 'darwin') return parsePmset((await run('pmset', ['-g', 'batt'], askOptions)).stdout)
    if (system === 'win32') {
      const query = 'Get-CimInstance Win32_Battery | Select-Object EstimatedChargeRemaining,BatteryStatus'
      const args = ['-NoProfile', '-NonInteractive', '-Command', `${query} | ConvertTo-Json -Compress`]
      return parseCim((await run('powershell.exe', args, askOptions)).stdout)
    }
    return undefined
  } catch (error) {
    // because: a system that does not tell counts as one without a battery
    if (error instanceof Error) return undefined
    throw error
  }
}

async function readLinux(): Promise<Battery | undefined> {
  const name = (await readdir(powerFolder)).find((entry) => /^BAT\d+$/.test(entry))
  if (name === undefined) return undefined
  const read = async (field: string): Promise<string> =>
    (await readFile(`${powerFolder}/${name}/${field}`, 'utf8')).trim()
  const status = await read('status')
  return batteryOf(Number(await read('capacity')), status === 'Charging', status === 'Discharging')
}

/** `Now drawing from 'Battery Power'` and ` -InternalBattery-0 (id=…)	85%; discharging; 4:10 remaining present: true`. */
export function parsePmset(text: string): Battery | undefined {
  const [, percent, status] = /-InternalBattery-\d+[^\t\n]*\t(\d{1,3})%; ([a-zA-Z ]+);/.exec(text) ?? []
  if (percent === undefined) return undefined
  return batteryOf(Number(percent), status === 'charging', /drawing from 'Battery Power'/.test(text))
}

/** One object, or a list for several batteries. Status 1, 4, 5: discharging, also low and critical; 2: on power; 6-9: charging. */
export function parseCim(text: string): Battery | undefined {
  const parsed: unknown = text.trim() === '' ? undefined : JSON.parse(text)
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  if (typeof first !== 'object' || first === null) return undefined
  const { EstimatedChargeRemaining: percent, BatteryStatus: status } = first as Readonly<
    Record<string, unknown>
  > // because: an object
  if (typeof percent !== 'number' || typeof status !== 'number') return undefined
  return batteryOf(Math.min(percent, 100), status >= 6 && status <= 9, [1, 4, 5].includes(status))
}

const batteryOf = (percent: number, isCharging: boolean, isOnBattery: boolean): Battery | undefined =>
  Number.isInteger(percent) && percent >= 0 && percent <= 100
    ? { percent, isCharging, isOnBattery }
    : undefined

/** How often is looked: reading a file costs nothing, PowerShell a good part of a second. */
const lookEveryMs = { linux: 30_000, other: 600_000 } as const

/** @returns whether the machine runs on its battery, as far as known. */
export function watchPower(env: Env, scope: Scope): () => boolean {
  let isOnBattery = false
  let timer: Disposable | undefined
  const look = async (): Promise<void> => {
    isOnBattery = (await readBattery())?.isOnBattery ?? false
    if (scope.signal.aborted) return
    const afterMs = process.platform === 'linux' ? lookEveryMs.linux : lookEveryMs.other
    timer = env.clock.setTimer(afterMs, () => scope.spawn('power', look))
  }
  scope.spawn('power', look)
  scope.defer(() => timer?.[Symbol.dispose]())
  return () => isOnBattery
}
