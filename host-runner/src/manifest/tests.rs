//! Good manifests become what they say; bad ones are refused at the place that is wrong.
