/**
 * The state of the peer as numbers, set when they are asked for: links, round trips, folders, memory. Labels are ids and
 * never names: a name is another device's to choose, and to change.
 */
import type { Metrics } from '../base/metrics.ts'
import type { LinkStatus, PeerStatus, SpaceStatus } from './api.ts'

const linkStates: readonly LinkStatus['state'][] = ['up', 'suspect', 'connecting', 'down']

/** @param rssBytes of the whole process. */
export function setStatusGauges(metrics: Metrics, status: PeerStatus, rssBytes: number): void {
  metrics.gauge('resident_memory_bytes', rssBytes)
  metrics.gauge('problems', status.problems.length)
  for (const state of linkStates) {
    const count = status.links.filter((link) => link.state === state).length
    metrics.gauge('links', count, { state })
  }
  for (const link of status.links) {
    // No link has no round trip: the series goes on with "not a number", which plots as a gap
    const rttSeconds = link.state === 'up' && link.rttMs !== undefined ? link.rttMs / 1000 : Number.NaN
    metrics.gauge('link_rtt_seconds', rttSeconds, { device: link.deviceId })
    metrics.gauge('link_received_bytes', link.receivedBytes ?? 0, { device: link.deviceId })
    metrics.gauge('link_sent_bytes', link.sentBytes ?? 0, { device: link.deviceId })
  }
  for (const space of status.spaces) setSpaceGauges(metrics, space)
}

function setSpaceGauges(metrics: Metrics, space: SpaceStatus): void {
  const labels = { space: space.id }
  metrics.gauge('space_files', space.fileCount, labels)
  metrics.gauge('space_size_bytes', space.sizeBytes, labels)
  metrics.gauge('space_pending_entries', space.pendingCount, labels)
  metrics.gauge('space_conflicts', space.conflictCount, labels)
  metrics.gauge('space_problem_files', space.problemCount ?? 0, labels)
  metrics.gauge('space_receive_bytes_per_second', space.transfer?.bytesPerSecond ?? 0, labels)
}
