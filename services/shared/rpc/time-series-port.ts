/** The port under which the owner of the time-series store offers it to the other processes. */
export const TIME_SERIES_PORT = 'time-series';
/** Who that is. */
export const STORE_OWNER = 'timeseries-service';
