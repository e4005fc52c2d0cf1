# fixest: feols, its defaults. Not a Debian package; run where it is installed.
if (!requireNamespace("fixest", quietly = TRUE)) { cat("SKIP fixest: the R package is not installed\n"); quit(status = 0) }
file <- commandArgs(TRUE)[1]
read <- system.time(d <- if (requireNamespace("data.table", quietly = TRUE)) data.table::fread(file) else read.csv(file))[["elapsed"]]
fit <- system.time(m <- fixest::feols(y ~ x1 + x2 + x3 | firm + year, d, cluster = ~firm))[["elapsed"]]
cat(sprintf("fixest\t%s\t%.3f\t%.3f\t%.10f\t%.10f\n", packageVersion("fixest"), read, fit, coef(m)[["x1"]], sqrt(diag(vcov(m)))[["x1"]]))
