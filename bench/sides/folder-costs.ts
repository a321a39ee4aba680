/**
 * What a pair of folders costs while it works: CPU seconds and memory of each side's processes, by the kernel's own
 * count, and bytes on the wire, by the counters of the near side's interface. Processes that end meanwhile are counted by
 * whoever waited for them: their parent, or this process, which starts the programs of the far side that run once.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Lab } from '../../test/support/netns.ts'

export interface Charged {
  readonly near: readonly number[]
  readonly far: readonly number[]
  /** What this process waited for belongs to the far side. */
  readonly isRunHere?: boolean
}

export interface Costs {
  /** User and system time of the near and the far side. */
  readonly cpuSeconds: readonly [number, number]
  /** The most memory that the processes of a side held, those summed that ran at the same time. */
  readonly peakMiB: readonly [number, number]
}

const sampleMs = 100
const ticksPerSecond = 100 // USER_HZ on every Linux that Node runs on

/** Starts counting. @returns what ends it. */
export function watchCosts(charged: () => Charged): () => Costs {
  const sides = [newSide(), newSide()] as const
  const look = (isStart: boolean): void => {
    const { near, far, isRunHere = false } = charged()
    for (const [index, pids] of [near, far].entries()) {
      const side = sides[index === 0 ? 0 : 1]
      let heldBytes = 0
      for (const pid of pids.flatMap(withChildren)) {
        // A child of ours that is no other program yet has our own memory
        if (isRunHere && isStillUs(pid)) continue
        // What starts later starts at nothing
        if (!side.startTicks.has(pid)) side.startTicks.set(pid, (isStart ? ticksOf(pid) : undefined) ?? 0)
        heldBytes += statusBytes(pid, 'VmHWM')
      }
      side.peakBytes = Math.max(side.peakBytes, heldBytes)
    }
  }
  look(true)
  const waitedBefore = waitedTicks()
  const timer = setInterval(() => look(false), sampleMs)
  return () => {
    clearInterval(timer)
    look(false)
    const seconds = ({ startTicks }: Side, waited: number): number => {
      // One that has ended stands in the account of whoever waited for it
      const own = [...startTicks].map(([pid, ticks]) => Math.max(0, (ticksOf(pid) ?? 0) - ticks))
      return own.reduce((sum, ticks) => sum + ticks, waited) / ticksPerSecond
    }
    const peak = ({ peakBytes }: Side): number => Math.round(peakBytes / 1024 ** 2)
    const [near, far] = sides
    const waited = charged().isRunHere === true ? waitedTicks() - waitedBefore : 0
    return { cpuSeconds: [seconds(near, 0), seconds(far, waited)], peakMiB: [peak(near), peak(far)] }
  }
}

interface Side {
  /** Of each process that was seen. */
  readonly startTicks: Map<number, number>
  peakBytes: number
}

const newSide = (): Side => ({ startTicks: new Map(), peakBytes: 0 })

function isStillUs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).equals(readFileSync('/proc/self/cmdline'))
  } catch {
    return true // because: it has ended
  }
}

/** proc(5): the name may hold anything, so count from its closing parenthesis. */
function statFields(pid: number | 'self'): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined // because: it has ended
  }
}

/** Of the process and of the children it has waited for. */
function ticksOf(pid: number): number | undefined {
  const fields = statFields(pid)
  return fields && [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
}

function waitedTicks(): number {
  const fields = statFields('self')
  return Number(fields?.[13]) + Number(fields?.[14])
}

/** Memory that these processes hold now. */
export function residentBytes(pids: readonly number[]): number {
  return pids.flatMap(withChildren).reduce((sum, pid) => sum + statusBytes(pid, 'VmRSS'), 0)
}

function statusBytes(pid: number, field: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0 // because: it has ended
  }
}

function withChildren(pid: number): readonly number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
    return [pid, ...children.flatMap(withChildren)]
  } catch {
    return [] // because: it has ended
  }
}

/** Bytes that have crossed the near side's interface, both ways. */
export async function wireBytes(lab: Lab): Promise<number> {
  const counters = ['rx_bytes', 'tx_bytes'].map((name) => `/sys/class/net/eth0/statistics/${name}`)
  const { code, stdout, stderr } = await lab.exec(0, 'cat', counters)
  if (code !== 0) throw new Error(`the counters of the interface: ${stderr}`)
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line), 0)
}
