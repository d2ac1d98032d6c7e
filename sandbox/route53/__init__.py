"""A local Route 53 data plane: health checkers and DNS answers.

The Route 53 API of a local AWS stores hosted zones and health checks but acts on neither. This
package reads both from that API and behaves as the developer guide documents, so a failover can
be watched, timed and tested on one machine. Everything it contacts is on loopback.

Modules, from the pure rules outwards: `record_names` and `model` (what the API stores); `health`,
`routing` and `answers` (the rules); `endpoints` and `targets` (loopback addresses in place of the
real network); `exchange`, `probe` and `checkers` (health checking); `wire` and `server` (DNS);
`api_client` (the API); `dataplane` (all of it together); `status` (its HTTP API); `metrics`.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover.html
"""
