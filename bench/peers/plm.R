# plm: the two-way within estimator; errors clustered by firm with Stata's factor counting the regressors alone ("sss").
if (!requireNamespace("plm", quietly = TRUE)) { cat("SKIP plm: the R package is not installed\n"); quit(status = 0) }
suppressPackageStartupMessages(library(plm))
file <- commandArgs(TRUE)[1]
read <- system.time(d <- if (requireNamespace("data.table", quietly = TRUE)) as.data.frame(data.table::fread(file)) else read.csv(file))[["elapsed"]]
fit <- system.time({
    m <- plm(y ~ x1 + x2 + x3, d, index = c("firm", "year"), model = "within", effect = "twoways")
    V <- vcovHC(m, method = "arellano", type = "sss", cluster = "group")
})[["elapsed"]]
cat(sprintf("plm\t%s\t%.3f\t%.3f\t%.10f\t%.10f\n", packageVersion("plm"), read, fit, coef(m)[["x1"]], sqrt(V["x1", "x1"])))
