package trigger

// runtime is what runs this process. It prints as a user knows it.
type runtime string

const (
	port                  runtime = "a port"
	lambda                runtime = "AWS Lambda"
	functionCompute       runtime = "Function Compute"
	functionComputeCustom runtime = "Function Compute's custom runtime"
)

// detect tells the runtimes apart by the variables that only they set.
func detect(lookup func(string) string) runtime {
	switch {
	case lookup("AWS_LAMBDA_RUNTIME_API") != "":
		return lambda
	case lookup("FC_RUNTIME_API") != "":
		return functionCompute
	case lookup("FC_FUNCTION_NAME") != "" || lookup("FC_INSTANCE_ID") != "":
		return functionComputeCustom
	}
	return port
}
