export type {
  ChannelStatistics,
  Gram,
  Histogram,
  NodeStatistics,
  Statistics,
  StatisticsRequest,
} from '../statistics.ts';
